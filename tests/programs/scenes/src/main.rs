//! Situations that a credential gets into, timed and counted; see `scenes.rs`.

#![expect(clippy::disallowed_methods, reason = "measures real time on real threads")]
#![expect(clippy::print_stdout, reason = "prints what it measured")]

mod scenes;

use std::error::Error;
use std::process::ExitCode;

use identity::{AccessToken, ManagedIdentityCredential, TokenCredential};

#[derive(Clone)]
struct Ours(ManagedIdentityCredential);

impl scenes::Subject for Ours {
    type Token = AccessToken;

    fn new() -> Result<Self, Box<dyn Error>> {
        Ok(Self(ManagedIdentityCredential::builder().build()?))
    }

    async fn token(&self, scope: &'static str) -> Result<AccessToken, String> {
        self.0.get_token(&[scope], None).await.map_err(|error| error.to_string())
    }

    fn secret(token: &AccessToken) -> &str {
        token.secret()
    }
}

fn main() -> ExitCode {
    scenes::main::<Ours>()
}
