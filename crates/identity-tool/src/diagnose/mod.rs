//! `identity diagnose`.

use std::{future::poll_fn, io, pin::pin, process::ExitCode, task::Poll, time::SystemTime};

use identity::Platform;
use identity_emulator::Emulator;

use crate::{
    cli::{DiagnoseArgs, DiagnoseOutput},
    credentials::ChainOptions,
    emulator, failure,
    screen::{self, Paint},
    verbose,
    world::{self, World},
};

mod address;
mod ask;
mod blank;
mod files;
mod json;
mod kinds;
mod network;
mod page;
mod place;
mod progress;
mod report;
mod text;
mod tools;
mod variables;

use self::{
    blank::Blanks,
    progress::Progress,
    report::{Endpoint, Outcome, Report},
};

pub(crate) async fn run(args: &DiagnoseArgs) -> io::Result<ExitCode> {
    if args.verbose {
        verbose::start();
    }
    // Every credential would say it.
    if let Err(error) = identity_core::check::scopes(&[&args.scope]) {
        return Ok(refuse(args, &error));
    }
    // Who loses patience must not leave the emulator's files behind, nor a tool that runs on, nor half a line.
    let mut stopped = pin!(emulator::stop_signal()?);
    let source = world::metadata(&args.emulator);
    let world = World::new(&args.emulator, Some(source)).await?;
    let variables = |emulator: &Emulator| emulator.variables(source);
    let platform = match world.platform(&args.transport, variables) {
        Ok(platform) => platform,
        Err(error) => return Ok(refuse(args, &error)),
    };
    let told = {
        let mut report = pin!(report(args, &world, &platform));
        poll_fn(|cx| match report.as_mut().poll(cx) {
            Poll::Ready(report) => Poll::Ready(Some(report)),
            Poll::Pending => stopped.as_mut().poll(cx).map(|()| None),
        })
        .await
    };
    let Some(report) = told else { return Ok(ExitCode::from(emulator::INTERRUPTED)) };
    let code = match &report.outcome {
        Outcome::Wins(_) => ExitCode::SUCCESS,
        Outcome::Fails(error) => failure::exit_code(error.kind()),
    };
    let printed = screen::print(&match args.output {
        DiagnoseOutput::Json => screen::escape_json(&json::write(&report).to_string()) + "\n",
        DiagnoseOutput::Text => text::write(&report, page::width(), Paint::stdout()),
    });
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        // Who has seen enough may still want to know how it ended.
        _ => Ok(code),
    }
}

async fn report(args: &DiagnoseArgs, world: &World, platform: &Platform) -> Report {
    let progress = Progress::new(args.verbose);
    let options = options(args);
    let blanks = Blanks::new(platform.env().as_ref());
    let mut found = ask::ask(&options, platform, &args.scope, &progress).await;
    found.blank(&blanks);
    progress.show("asking the tools for their versions");
    let tools = tools::all(platform).await.map(|tools| blanks.tools(tools));
    progress.show("asking the authority for its time");
    let transport = world.options(&args.transport);
    let network = network::look(platform, &transport, options.authority, args.emulator.emulator).await;
    let network = blanks.network(network);
    progress.clear();
    let env = platform.env().as_ref();
    let time = SystemTime::now();
    Report {
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        time,
        scope: args.scope.clone(),
        is_emulated: args.emulator.emulator,
        places: place::all(env),
        is_refused: found.is_refused,
        links: found.links,
        outcome: found.outcome,
        variables: variables::all(env),
        files: files::all(env, time, &blanks),
        endpoint: endpoint(&options, platform),
        tools,
        network,
    }
}

fn options(args: &DiagnoseArgs) -> ChainOptions<'_> {
    let credentials = &args.credentials;
    ChainOptions {
        places: &args.chain,
        authority: credentials.authority.as_deref(),
        allowed_tenants: &[],
        // The emulator is no authority that Microsoft knows.
        trusts_authority: credentials.disable_instance_discovery || args.emulator.emulator,
        client_id: credentials.client_id.as_deref(),
        object_id: credentials.object_id.as_deref(),
        resource_id: credentials.resource_id.as_deref(),
        allow_remote_endpoint: credentials.allow_remote_endpoint,
        process_timeout: credentials.process_timeout,
        failure_memory: None,
    }
}

/// Where a managed identity would come from, by the variables.
fn endpoint(options: &ChainOptions<'_>, platform: &Platform) -> Option<Endpoint> {
    let source = options.source_in_chain(platform)?;
    let env = platform.env().as_ref();
    let by = |name: &str| env.text(name).ok().flatten().and_then(|url| address::origin(&url, None));
    let origin = match source {
        "IMDS" => by("AZURE_POD_IDENTITY_AUTHORITY_HOST").or_else(|| Some(IMDS.to_owned())),
        "Azure Arc" => by("IDENTITY_ENDPOINT").or_else(|| Some(ARC.to_owned())),
        "App Service" | "Service Fabric" => by("IDENTITY_ENDPOINT"),
        "Azure ML" | "Cloud Shell" => by("MSI_ENDPOINT"),
        _ => None,
    };
    Some(Endpoint { source, origin })
}

/// Says why there is no report.
fn refuse(args: &DiagnoseArgs, error: &identity::Error) -> ExitCode {
    screen::tell(&match args.output {
        DiagnoseOutput::Json => screen::escape_json(&failure::to_json(error).to_string()) + "\n",
        DiagnoseOutput::Text => failure::to_text(error, Paint::stderr()),
    });
    failure::exit_code(error.kind())
}

/// Where IMDS is, and the agent of Azure Arc that no variable tells of.
const IMDS: &str = "http://169.254.169.254";
const ARC: &str = "http://127.0.0.1:40342";
