//! `identity emulator`.

use std::{fmt::Write as _, io, process::ExitCode};

use identity_emulator::{Answer, Builder, Emulator, Identity, Source};
use serde_json::{Map, Value, json};

use crate::{
    cli::{EmulatorArgs, EmulatorOutput},
    screen::{self, Paint},
};

pub(crate) async fn run(args: &EmulatorArgs) -> io::Result<ExitCode> {
    // Before anybody learns that it runs, for whoever does may end it at once.
    let stopped = stop_signal()?;
    if args.source == Some(Source::Imds) && args.port != 0 && args.imds_address.is_some() {
        let message = "--port and --imds-address both say where IMDS listens; give one of them";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let emulator = builder(args).start().await?;
    check(&emulator, args.source)?;
    if let Some(answer) = fault(args) {
        emulator.faults().always(None, answer);
    }
    let told = match (args.output, args.source) {
        (EmulatorOutput::Json, source) => format!("{}\n", to_json(&emulator, source)),
        (EmulatorOutput::Text, Some(source)) => exports(&emulator, source),
        (EmulatorOutput::Text, None) => all_exports(&emulator),
    };
    // Whoever reads the variables may ask at once: all listeners are open.
    screen::print(&told)?;
    let paint = Paint::stderr();
    screen::tell(&format!(
        "{}\n  control  {}/__emulator/\n  keys     {}\n  stop     Ctrl-C\n",
        paint.bold("the emulator runs; its tokens open nothing real"),
        emulator.control_origin(),
        emulator.keys_url()
    ));
    stopped.await;
    Ok(ExitCode::SUCCESS)
}

/// Whether the source that was chosen can do its work: Azure Arc needs a directory that takes root to make.
pub(crate) fn check(emulator: &Emulator, source: Option<Source>) -> io::Result<()> {
    if source != Some(Source::AzureArc) {
        return Ok(());
    }
    emulator.check_arc_directory().map_err(|error| {
        let message = format!(
            "Azure Arc hands out its keys as files, and cannot write them: {error}; run this as root, or with \
             `identity emulator --arc-directory` for a client that is told to look elsewhere"
        );
        io::Error::new(error.kind(), message)
    })
}

fn builder(args: &EmulatorArgs) -> Builder {
    let mut builder = Emulator::builder().control_port(args.control_port);
    if let Some(source) = args.source {
        builder = builder.port(source, args.port);
    }
    if let Some(address) = args.imds_address {
        builder = builder.imds_address(address);
    }
    if let Some(directory) = &args.arc_directory {
        builder = builder.arc_directory(directory);
    }
    for resource in &args.allow_resource {
        builder = builder.allow_resource(resource);
    }
    // A year fits.
    builder.lifetime_secs(u32::try_from(args.lifetime.as_secs()).unwrap_or(u32::MAX))
}

/// The answer to every request, if it is not the real one.
fn fault(args: &EmulatorArgs) -> Option<Answer> {
    let answer = if let Some(status) = args.fail {
        Answer::status(status)
    } else if let Some(wait) = args.throttle {
        Answer::status(429).with_header("Retry-After", wait.as_secs().to_string())
    } else if args.refuse {
        Answer::refuse()
    } else if args.silent {
        Answer::silence()
    } else if args.latency.is_some() {
        Answer::real()
    } else {
        return None;
    };
    Some(match args.latency {
        Some(latency) => answer.with_delay(latency),
        None => answer,
    })
}

/// What a shell evaluates. Variables that would lead a client elsewhere, or to another identity, go away.
fn exports(emulator: &Emulator, source: Source) -> String {
    let own = emulator.variables(source);
    let mut foreign: Vec<String> = Source::ALL
        .into_iter()
        .flat_map(|other| emulator.variables(other))
        .map(|(name, _)| name)
        .chain(ELSEWHERE.map(str::to_owned))
        .filter(|name| !own.iter().any(|(known, _)| known == name))
        .collect();
    foreign.sort();
    foreign.dedup();
    let mut out = format!("unset {}\n", foreign.join(" "));
    for (name, value) in own {
        let _ = writeln!(out, "export {name}={}", quote(&value));
    }
    out
}

fn all_exports(emulator: &Emulator) -> String {
    let mut out = "# Set the variables of one source only, or let --source choose.\n".to_owned();
    for source in Source::ALL {
        let _ = writeln!(out, "\n# {source}");
        let variables = emulator.variables(source);
        if variables.is_empty() {
            let _ = writeln!(out, "# at {}, where every client looks: no variables", emulator.address(source));
        }
        for (name, value) in variables {
            let _ = writeln!(out, "#export {name}={}", quote(&value));
        }
    }
    out
}

fn to_json(emulator: &Emulator, source: Option<Source>) -> Value {
    let ids = |identity: &Identity| {
        json!({
            "client_id": identity.client_id(),
            "object_id": identity.object_id(),
            "resource_id": identity.resource_id(),
        })
    };
    let chosen = Source::ALL.into_iter().filter(|candidate| source.is_none_or(|source| source == *candidate));
    let variables: Map<String, Value> = chosen
        .map(|source| {
            let pairs = emulator.variables(source).into_iter();
            (source.to_string(), Value::Object(pairs.map(|(name, value)| (name, value.into())).collect()))
        })
        .collect();
    json!({
        "variables": variables,
        "identities": {
            "system": emulator.system_assigned().map(ids),
            "user": emulator.user_assigned().iter().map(ids).collect::<Vec<_>>(),
        },
        "tenant_id": emulator.tenant_id(),
        "keys_url": emulator.keys_url(),
        "control": emulator.control_origin(),
    })
}

/// Variables that choose workload identity, which does nothing without this one, and the identity of Azure ML.
const ELSEWHERE: [&str; 2] = ["AZURE_FEDERATED_TOKEN_FILE", "DEFAULT_IDENTITY_CLIENT_ID"];

/// One word for a POSIX shell, whatever is in it.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Ctrl-C and the signal by which services are stopped: heard from now on, awaited later.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(std::future::poll_fn(move |cx| {
        let heard = interrupt.poll_recv(cx).is_ready() || terminate.poll_recv(cx).is_ready();
        if heard { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }))
}

/// Ctrl-C: heard from now on, awaited later.
#[cfg(windows)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(std::future::poll_fn(move |cx| interrupt.poll_recv(cx).map(drop)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_is_one_word() {
        assert_eq!(quote("http://127.0.0.1:1/x?a=1&b=2"), "'http://127.0.0.1:1/x?a=1&b=2'");
        assert_eq!(quote("it's $(x)"), r"'it'\''s $(x)'");
    }

    #[test]
    fn evaluating_one_source_leaves_no_variable_of_another() {
        let emulator = Emulator::builder().start_in_background().unwrap();
        for source in Source::ALL {
            let text = exports(&emulator, source);
            for (name, _) in Source::ALL.into_iter().flat_map(|source| emulator.variables(source)) {
                let own = emulator.variables(source).iter().any(|(known, _)| *known == name);
                assert_eq!(text.contains(&format!("\nexport {name}='")), own, "{source} {name}");
                let unset = text.lines().next().unwrap().split(' ').any(|word| word == name);
                assert_eq!(unset, !own, "{source} {name}");
            }
        }
        assert!(all_exports(&emulator).lines().all(|line| line.is_empty() || line.starts_with('#')));
    }
}
