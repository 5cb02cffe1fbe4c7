//! `identity emulator`.

use std::{future::poll_fn, io, path::Path, pin::pin, process::ExitCode};

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
    if let Some(stand) = args.source {
        stand.check(&emulator).map_err(|error| {
            let message = format!("--source {} has nobody to sign in: {error}", stand.name());
            io::Error::new(error.kind(), message)
        })?;
    }
    if let Some(path) = &args.ca_file {
        emulator
            .write_ca(path)
            .map_err(|error| io::Error::new(error.kind(), format!("the certificate cannot be written: {error}")))?;
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
    let (mut stopped, mut told) = (pin!(stopped), pin!(tell_of_directory(&emulator)));
    poll_fn(|cx| {
        // It never ends.
        let _ = told.as_mut().poll(cx);
        stopped.as_mut().poll(cx)
    })
    .await;
    Ok(ExitCode::SUCCESS)
}

/// Says when a directory file breaks, which clients are not told, and when it is whole again; for ever.
async fn tell_of_directory(emulator: &Emulator) {
    let mut last = None;
    loop {
        emulator.wait_until(|emulator| emulator.directory_error() != last).await;
        last = emulator.directory_error();
        screen::tell(&match &last {
            Some(error) => format!("warning: {}; Entra ID answers 500 until it is repaired\n", screen::escape(error)),
            None => "the directory file is whole again\n".to_owned(),
        });
    }
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
    for name in &args.dns_name {
        builder = builder.dns_name(name);
    }
    if let Some(seconds) = args.refresh_in_secs {
        builder = builder.refresh_in_secs(seconds);
    }
    if args.expires_in_as_text {
        builder = builder.expires_in_as_text();
    }
    if args.refuse_replayed_assertions {
        builder = builder.refuse_replayed_assertions();
    }
    if args.refuse_padded_assertions {
        builder = builder.refuse_padded_assertions();
    }
    if let Some(lifetime) = args.refresh_token_lifetime {
        builder = builder.refresh_token_lifetime_secs(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX));
    }
    if args.single_use_refresh_tokens {
        builder = builder.single_use_refresh_tokens();
    }
    if args.optional_pkce {
        builder = builder.optional_pkce();
    }
    if let Some(count) = args.loop_limit {
        builder = builder.loop_limit(usize::try_from(count).unwrap_or(usize::MAX));
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

/// What shells give for a program that Ctrl-C has ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// Ctrl-C, the signal by which services are stopped, and that of a terminal that closes: heard from now on, awaited later.
#[cfg(unix)]
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use std::task::Poll;

    use tokio::signal::unix::{SignalKind, signal};

    let mut signals = vec![signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    if ends_with_its_terminal() {
        signals.push(signal(SignalKind::hangup())?);
    }
    Ok(poll_fn(move |cx| {
        let heard = signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
        if heard { Poll::Ready(()) } else { Poll::Pending }
    }))
}

/// Whether a hangup would end this process, files and all: not under nohup. Only Linux tells.
#[cfg(unix)]
fn ends_with_its_terminal() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The lowest bit is that of signal 1.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 0)
}

/// Ctrl-C: heard from now on, awaited later.
#[cfg(windows)]
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(poll_fn(move |cx| interrupt.poll_recv(cx).map(drop)))
}
