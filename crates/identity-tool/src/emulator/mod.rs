//! `identity emulator`.

use std::{io, path::Path, process::ExitCode};

use identity_emulator::{Answer, Builder, Emulator, Source};

use crate::{
    cli::{EmulatorArgs, EmulatorOutput, Stand},
    screen::{self, Paint},
};

mod tell;

pub(crate) async fn run(args: &EmulatorArgs) -> io::Result<ExitCode> {
    if let Some(path) = &args.write_directory {
        return write_directory(path).await;
    }
    // Before anybody learns that it runs, for whoever does may end it at once.
    let stopped = stop_signal()?;
    let source = args.source.map(Stand::source);
    if source == Some(Source::Imds) && args.port != 0 && args.imds_address.is_some() {
        let message = "--port and --imds-address both say where IMDS listens; give one of them";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let emulator = builder(args).start().await?;
    check(&emulator, source)?;
    if let Some(path) = &args.ca_file {
        emulator.write_ca(path).map_err(|error| {
            let message = format!("the certificate cannot be written to {}: {error}", path.display());
            io::Error::new(error.kind(), message)
        })?;
    }
    if let Some(answer) = fault(args) {
        emulator.faults().always(None, answer);
    }
    let told = match (args.output, args.source) {
        (EmulatorOutput::Json, source) => format!("{}\n", tell::to_json(&emulator, source)),
        (EmulatorOutput::Text, Some(source)) => tell::exports(&emulator, source),
        (EmulatorOutput::Text, None) => tell::all_exports(&emulator),
    };
    // Whoever reads the variables may ask at once: all listeners are open.
    screen::print(&told)?;
    screen::tell(&tell::places(&emulator, Paint::stderr()));
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

/// Never replaces a file: it may be somebody's work.
async fn write_directory(path: &Path) -> io::Result<ExitCode> {
    if path.symlink_metadata().is_ok() {
        let message = format!("{} is there already; name a new file", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    Emulator::builder().start().await?.write_directory(path)?;
    screen::tell(&format!("written; use it by --directory {}\n", screen::escape(&path.display().to_string())));
    Ok(ExitCode::SUCCESS)
}

fn builder(args: &EmulatorArgs) -> Builder {
    let mut builder = Emulator::builder().control_port(args.control_port);
    if let Some(stand) = args.source {
        builder = builder.port(stand.source(), args.port);
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
    if let Some(file) = &args.directory {
        builder = builder.directory(file);
    }
    if let Some(directory) = &args.files {
        builder = builder.files(directory);
    }
    match args.lifetime {
        Some(lifetime) => {
            // A year fits.
            let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
            builder.lifetime_secs(seconds).entra_lifetime_secs(seconds)
        }
        None => builder,
    }
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

/// Ctrl-C and the signal by which services are stopped: heard from now on, awaited later.
#[cfg(unix)]
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(std::future::poll_fn(move |cx| {
        let heard = interrupt.poll_recv(cx).is_ready() || terminate.poll_recv(cx).is_ready();
        if heard { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }))
}

/// Ctrl-C: heard from now on, awaited later.
#[cfg(windows)]
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(std::future::poll_fn(move |cx| interrupt.poll_recv(cx).map(drop)))
}
