//! Starts an emulator, prints what clients need as one line of JSON, and runs until standard input ends.
//!
//! Arguments, each optional: `--arc-directory DIR`, `--old-arc-agent`, `--rsa`, `--imds-address ADDRESS:PORT`.
//! The line has `variables` (for each source), `identities`, `tenant_id`, `keys_url` and `control`.

use std::error::Error;
use std::io::{Write, stdin, stdout};

use identity_emulator::{Emulator, Identity, Source};
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = Emulator::builder();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        builder = match argument.as_str() {
            "--arc-directory" => builder.arc_directory(arguments.next().ok_or("which directory?")?),
            "--old-arc-agent" => builder.old_arc_agent(),
            "--imds-address" => builder.imds_address(arguments.next().ok_or("which address?")?.parse()?),
            "--rsa" => builder.rsa_certificate(),
            other => return Err(format!("unknown argument {other}").into()),
        };
    }
    let emulator = builder.start_in_background()?;
    let ids = |identity: &Identity| {
        json!({
            "client_id": identity.client_id(),
            "object_id": identity.object_id(),
            "resource_id": identity.resource_id(),
        })
    };
    let variables: Map<String, Value> = Source::ALL
        .into_iter()
        .map(|source| {
            let pairs = emulator.variables(source).into_iter();
            let pairs: Map<String, Value> = pairs.map(|(name, value)| (name, value.into())).collect();
            (source.to_string(), pairs.into())
        })
        .collect();
    let line = json!({
        "variables": variables,
        "identities": {
            "system": emulator.system_assigned().map(ids),
            "user": emulator.user_assigned().iter().map(ids).collect::<Vec<_>>(),
        },
        "tenant_id": emulator.tenant_id(),
        "keys_url": emulator.keys_url(),
        "control": emulator.control_origin(),
    });
    writeln!(stdout(), "{line}")?;
    stdout().flush()?;
    std::io::copy(&mut stdin(), &mut std::io::sink())?;
    Ok(())
}
