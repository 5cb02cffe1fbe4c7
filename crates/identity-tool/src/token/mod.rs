//! `identity token`.

use std::{future::poll_fn, io, pin::pin, process::ExitCode, task::Poll};

use identity::{AccessToken, Error, Result, TokenRequestOptions};

use crate::{
    cli::{Output, TokenArgs},
    credentials::{self, Built},
    emulator, failure,
    screen::{self, Paint},
    verbose,
    world::{self, World},
};

mod explain;
mod kubectl;
mod show;

use self::{explain::Asked, kubectl::ApiVersion};

pub(crate) async fn run(args: &TokenArgs) -> io::Result<ExitCode> {
    if args.verbose {
        verbose::start();
    }
    if !args.emulator.emulator && !args.credential.may_run_tools() {
        return tell(args, &World::of(args).await?).await;
    }
    // Who loses patience must not leave the emulator's files behind, nor a tool that runs on.
    let mut stopped = pin!(emulator::stop_signal()?);
    let world = World::of(args).await?;
    let mut told = pin!(tell(args, &world));
    poll_fn(|cx| match told.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(done),
        Poll::Pending => stopped.as_mut().poll(cx).map(|()| Ok(ExitCode::from(emulator::INTERRUPTED))),
    })
    .await
}

async fn tell(args: &TokenArgs, world: &World) -> io::Result<ExitCode> {
    // Before anybody is asked for a token that could not be handed over. It is the caller's variable, also with --emulator.
    let version = match args.output {
        Output::Kubectl => ApiVersion::asked(identity::platform().env().as_ref()),
        _ => Ok(ApiVersion::V1),
    };
    let version = match version {
        Ok(version) => version,
        Err(error) => return Ok(refuse(args, &error, None)),
    };
    let platform = match world.platform(&args.transport, |emulator| world::variables(emulator, args)) {
        Ok(platform) => platform,
        Err(error) => return Ok(refuse(args, &error, None)),
    };
    let built = match credentials::build(args, &platform) {
        Ok(built) => built,
        Err(error) => return Ok(refuse(args, &error, None)),
    };
    match get(args, &built).await {
        Ok(token) => {
            screen::print(&show::show(args, &token, built.link(), version))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let asked = built.source.map(|source| Asked { source, env: platform.env().as_ref() });
            Ok(refuse(args, &error, asked.as_ref()))
        }
    }
}

async fn get(args: &TokenArgs, built: &Built) -> Result<AccessToken> {
    let request = &args.request;
    let mut options = TokenRequestOptions::new();
    if let Some(claims) = &request.claims {
        options = options.with_claims(claims);
    }
    if let Some(tenant) = &request.request_tenant_id {
        options = options.with_tenant_id(tenant);
    }
    if request.enable_cae {
        options = options.enable_cae();
    }
    let scopes: Vec<&str> = args.scope.iter().map(String::as_str).collect();
    built.credential.get_token(&scopes, Some(&options)).await
}

/// Says why there is no token.
fn refuse(args: &TokenArgs, error: &Error, asked: Option<&Asked<'_>>) -> ExitCode {
    let text = if args.output == Output::Json {
        screen::escape_json(&failure::to_json(error).to_string()) + "\n"
    } else {
        explain::explain(args, error, asked, Paint::stderr())
    };
    screen::tell(&text);
    failure::exit_code(error.kind())
}
