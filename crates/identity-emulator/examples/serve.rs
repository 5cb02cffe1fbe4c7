//! Starts an emulator, prints what clients need as one line of JSON, and runs until standard input ends.
//!
//! Arguments, each optional: `--arc-directory DIR`, `--directory FILE`, `--imds-address ADDRESS:PORT`, `--old-arc-agent`, `--rsa`.
//! The line has `variables` (for each source), `certificate_variables`, `user_variables` (for each flow), `authority`, `ca`, `identities`, `tenant_id`,
//! `keys_url` and `control`.

use std::error::Error;
use std::io::{Write, stdin, stdout};

use identity_emulator::{Emulator, Identity, Source, UserFlow};
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = Emulator::builder();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        builder = match argument.as_str() {
            "--arc-directory" => builder.arc_directory(arguments.next().ok_or("which directory?")?),
            "--directory" => builder.directory(arguments.next().ok_or("which file?")?),
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
    let object = |pairs: Vec<(String, String)>| -> Value {
        pairs.into_iter().map(|(name, value)| (name, Value::from(value))).collect::<Map<_, _>>().into()
    };
    let variables: Map<String, Value> =
        Source::ALL.into_iter().map(|source| (source.to_string(), object(emulator.variables(source)))).collect();
    let of_users: Map<String, Value> =
        UserFlow::ALL.into_iter().map(|flow| (flow.to_string(), object(emulator.user_variables(flow)))).collect();
    let line = json!({
        "variables": variables,
        "user_variables": of_users,
        "certificate_variables": object(emulator.certificate_variables()),
        "authority": emulator.authority(),
        "ca": emulator.ca_path(),
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
