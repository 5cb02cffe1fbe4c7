//! Our default chain in the environment of its process.

use std::{env, io, time::Duration};

use identity::{ChainLink, DefaultAzureCredential, DefaultAzureCredentialBuilder, TokenCredential as _};
use serde_json::{Map, Value, json};

use crate::network::INSIDE;

/// What the line with the outcome begins with.
pub(super) const MARK: &str = "default-chain: ";

/// Not a test by itself: it does nothing elsewhere. Options are on standard input, and the variables are those of the process.
#[test]
#[ignore = "only another test starts it, in an environment of its own"]
fn choose() {
    if env::var_os(INSIDE).is_none() {
        return;
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    let options: Map<String, Value> = serde_json::from_str(&line).unwrap();
    println!("{MARK}{}", outcome(&options));
}

fn outcome(options: &Map<String, Value>) -> Value {
    let credential = match builder(options).build() {
        Ok(credential) => credential,
        Err(error) => {
            return json!({
                "built": false, "winner": null, "token": null, "attempts": [], "stopped": false, "why": error.to_string(),
            });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(credential.get_token(&["https://storage.azure.com/.default"], None));
    let winner = credential.winner().map(ChainLink::name);
    match result {
        Ok(token) => json!({
            "built": true, "winner": winner, "token": token.secret(), "attempts": [], "stopped": false, "why": "",
        }),
        Err(error) => {
            let attempts: Vec<&str> = error.attempts().iter().map(identity::Error::credential).collect();
            let members = credential.links().filter(|(_, member)| member.is_ok()).count();
            json!({
                "built": true, "winner": winner, "token": null, "attempts": attempts,
                "stopped": attempts.len() < members, "why": error.to_string(),
            })
        }
    }
}

/// The builder with these options called, by the names of their setters.
fn builder(options: &Map<String, Value>) -> DefaultAzureCredentialBuilder {
    let mut builder = DefaultAzureCredential::builder().disable_instance_discovery();
    for (name, value) in options {
        let links = || value.as_array().unwrap().iter().map(|name| link(name.as_str().unwrap()));
        builder = match name.as_str() {
            "exclude" => links().fold(builder, DefaultAzureCredentialBuilder::exclude),
            "include" => links().fold(builder, DefaultAzureCredentialBuilder::include),
            "process_timeout_secs" => builder.process_timeout(Duration::from_secs_f64(value.as_f64().unwrap())),
            "system_assigned_managed_identity" => builder.system_assigned_managed_identity(),
            "managed_identity_client_id" => builder.managed_identity_client_id(value.as_str().unwrap()),
            "require_envvar" => builder.require_envvar(),
            other => panic!("there is no option {other}"),
        };
    }
    builder
}

fn link(name: &str) -> ChainLink {
    ChainLink::ALL.iter().copied().find(|link| link.name() == name).unwrap()
}
