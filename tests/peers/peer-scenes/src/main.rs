//! The situations of tests/programs/scenes, with the official crate.

#[path = "../../../programs/scenes/src/scenes.rs"]
mod scenes;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use azure_core::credentials::{AccessToken, TokenCredential};
use azure_identity::ManagedIdentityCredential;

#[derive(Clone)]
struct Peer(Arc<ManagedIdentityCredential>);

impl scenes::Subject for Peer {
    type Token = AccessToken;

    fn new() -> Result<Self, Box<dyn Error>> {
        Ok(Self(ManagedIdentityCredential::new(None)?))
    }

    async fn token(&self, scope: &'static str) -> Result<AccessToken, String> {
        self.0.get_token(&[scope], None).await.map_err(|error| error.to_string())
    }

    fn secret(token: &AccessToken) -> &str {
        token.token.secret()
    }
}

fn main() -> ExitCode {
    scenes::main::<Peer>()
}
