//! Runs a case and compares everything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use identity::{ChainLink, DefaultAzureCredential};
use identity_core::{
    AccessToken, CallContext, Clock as _, Error, Result as TokenResult, TokenCredential, TokenRequestOptions,
    fakes::join_all,
    http::{Proxy, Request, ServerTrust},
};
use identity_tests::{Logs, find_secret, shown};

use crate::{
    bodies::{compare_form, compare_xml},
    build::{Who, build},
    case::{Asked, Call, Failure, Folder},
    tools::compare_runs,
    world::{World, change},
};

/// The first thing that is not as the case says.
pub(crate) fn run(folder: &Folder) -> Result<(), String> {
    let world = World::new(folder);
    let mut visible = String::new();
    let (result, logs) = Logs::of(|| calls(folder, &world, &mut visible));
    result?;
    compare_requests(&folder.case.requests, &world.asked())?;
    compare_runs(&folder.case.runs, &world.stage.ran())?;
    let mut reads: Vec<String> = world.env.reads().iter().map(|path| path.display().to_string()).collect();
    if folder.case.rereads {
        let mut seen = BTreeSet::new();
        reads.retain(|path| seen.insert(path.clone()));
    }
    if reads != folder.case.reads {
        return Err(format!("opened {reads:?}, expected {:?}", folder.case.reads));
    }
    match world.left() {
        (0, 0) => {}
        (left, surplus) => return Err(format!("{left} answers were not asked for, {surplus} requests had none")),
    }
    match world.stage.left() {
        (0, 0) => {}
        (left, surplus) => return Err(format!("{left} runs did not happen, {surplus} were not foreseen")),
    }
    if let Some(missing) = folder.case.logs.iter().find(|fragment| !logs.contains(*fragment)) {
        return Err(format!("the log lacks {missing:?}:\n{logs}"));
    }
    let secrets = [folder.secrets(), proofs(&world.asked())].concat();
    for (place, text) in [("the log", &logs), ("something printed", &visible)] {
        if let Some(bad) = text.chars().find(|&c| steers(c)) {
            return Err(format!("{bad:?} steers whoever reads {place}: {text:?}"));
        }
        if let Some(secret) = find_secret(text, secrets.iter().map(String::as_str)) {
            return Err(format!("{secret:?} shows in {place}:\n{text}"));
        }
    }
    Ok(())
}

/// What was sent to prove an identity: it must show nowhere either.
pub(crate) fn proofs(asked: &[(Duration, Request)]) -> Vec<String> {
    let mut found = Vec::new();
    for (_, request) in asked {
        let headers = request.headers.iter().filter(|(name, _)| *name == "authorization");
        found.extend(headers.filter_map(|(_, value)| value.expose().rsplit(' ').next().map(str::to_owned)));
        let body = request.body.as_ref().map_or("", |body| body.expose());
        let assertion =
            |pair| ["client_assertion=", "assertion="].iter().find_map(|name| str::strip_prefix(pair, *name));
        for assertion in body.split('&').filter_map(assertion) {
            // A part of it is as bad; the first one is the same for all.
            found.extend([assertion].into_iter().chain(assertion.split('.').skip(1)).map(str::to_owned));
        }
    }
    found.retain(|proof| proof.len() >= 4);
    found
}

/// Control characters other than line feeds, and those that reorder text.
fn steers(c: char) -> bool {
    c != '\n' && c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Builds and calls; collects all that can be printed.
fn calls(folder: &Folder, world: &World, visible: &mut String) -> Result<(), String> {
    let case = &folder.case;
    let who = match (build(folder, &world.platform, visible), &case.build) {
        (Ok(built), None) => {
            if case.chosen.as_deref().is_some_and(|chosen| chosen != built.source) {
                return Err(format!("chose {}, expected {:?}", built.source, case.chosen));
            }
            if let (Who::Chain(chain), Some(expected)) = (&built.who, &case.left_out) {
                compare_left_out(expected, chain)?;
            }
            built.who
        }
        (Err(error), Some(expected)) => {
            visible.push_str(&shown(&error));
            return compare_failure(expected, &error);
        }
        (Ok(_), Some(expected)) => return Err(format!("was built, expected {expected:?}")),
        (Err(error), None) => return Err(format!("was not built: {error}")),
    };
    for (number, call) in (1..).zip(&case.calls) {
        if let Some(at) = call.at_secs {
            let wait = Duration::from_secs_f64(at).saturating_sub(world.clock.elapsed());
            // From one event to the next, as time passes for what runs in the background.
            world.sim.run(world.clock.sleep(wait));
        }
        change(&world.env, &call.files);
        call.variables.iter().for_each(|(name, value)| world.env.set(name, value));
        let (start, reads) = (world.clock.elapsed(), world.env.reads().len());
        let results = match (&who, &call.user_assertion) {
            (Who::One(credential), None) => get(world, credential.as_ref(), call, visible),
            (Who::Chain(chain), None) => get(world, chain, call, visible),
            (Who::Many(client), Some(assertion)) => match client.credential(assertion.as_str()) {
                Ok(credential) => get(world, &credential, call, visible),
                Err(error) => vec![Err(error)],
            },
            _ => return Err(format!("call {number}: a user is missing, or one too many")),
        };
        let took = (world.clock.elapsed() - start).as_secs_f64();
        world.sim.settle();
        let _ = write!(visible, "{results:?} {results:#?} ");
        results.iter().filter_map(|result| result.as_ref().err()).for_each(|error| visible.push_str(&shown(error)));
        let in_call = |problem: String| format!("call {number}: {problem}");
        results.iter().try_for_each(|result| compare(call, world.start, result)).map_err(in_call)?;
        let winner = match &who {
            Who::Chain(chain) => chain.winner().map(ChainLink::name),
            _ => None,
        };
        if winner != call.winner.as_deref() {
            return Err(in_call(format!("the winner is {winner:?}, expected {:?}", call.winner)));
        }
        let opens_files = world.env.reads().len() > reads;
        if call.opens_files.is_some_and(|expected| expected != opens_files) {
            return Err(in_call(format!("files were opened: {opens_files}")));
        }
        if (took - call.takes_secs).abs() > 0.001 {
            return Err(in_call(format!("took {took} s, expected {} s", call.takes_secs)));
        }
    }
    Ok(())
}

/// What nobody tries, and why.
fn compare_left_out(expected: &BTreeMap<String, String>, chain: &DefaultAzureCredential) -> Result<(), String> {
    let left_out = chain.links().filter_map(|(link, member)| Some((link.name(), member.err()?)));
    let left_out: BTreeMap<&str, &str> = left_out.collect();
    let fits = |(name, why): (&String, &String)| left_out.get(name.as_str()).is_some_and(|reason| reason.contains(why));
    if left_out.len() == expected.len() && expected.iter().all(fits) {
        return Ok(());
    }
    Err(format!("left out are {left_out:?}, expected {expected:?}"))
}

fn get(
    world: &World,
    credential: &dyn TokenCredential,
    call: &Call,
    visible: &mut String,
) -> Vec<TokenResult<AccessToken>> {
    let scopes: Vec<&str> = call.scopes.iter().map(String::as_str).collect();
    let mut options = TokenRequestOptions::new();
    if let Some(claims) = &call.claims {
        options = options.with_claims(claims);
    }
    if let Some(tenant) = &call.tenant_id {
        options = options.with_tenant_id(tenant);
    }
    if call.cae {
        options = options.enable_cae();
    }
    if call.in_chain {
        options = options.with_context(CallContext::Chain);
    }
    let all = (0..call.callers).map(|_| credential.get_token(&scopes, Some(&options)));
    let results = world.sim.run(join_all(all));
    let _ = write!(visible, "{credential:?} {credential:#?} ");
    results
}

fn compare(call: &Call, start: SystemTime, result: &TokenResult<AccessToken>) -> Result<(), String> {
    match (result, &call.token, &call.failure) {
        (Ok(token), Some(expected), None) => {
            if token.secret() != expected.secret {
                return Err(format!("the token is {:?}, expected {:?}", token.secret(), expected.secret));
            }
            if let Some(name) = expected.credential.as_ref().filter(|name| *name != token.credential()) {
                return Err(format!("the token is of {:?}, expected {name:?}", token.credential()));
            }
            let since = |time: SystemTime| time.duration_since(start).ok().map(|since| since.as_secs_f64());
            compare_time("expires", since(token.expires_on()), Some(expected.expires_at_secs))?;
            match expected.refresh_at_secs {
                None => Ok(()),
                at => compare_time("is refreshed", token.refresh_on().and_then(since), at),
            }
        }
        (Err(error), None, Some(expected)) => compare_failure(expected, error),
        (Ok(_), None, Some(expected)) => Err(format!("a token was given, expected {expected:?}")),
        (Err(error), Some(_), None) => Err(format!("expected a token: {:?}: {error}", error.kind())),
        _ => Err("the case expects a token and a failure, or neither".to_owned()),
    }
}

fn compare_time(what: &str, seconds: Option<f64>, expected: Option<f64>) -> Result<(), String> {
    match (seconds, expected) {
        (Some(seconds), Some(expected)) if (seconds - expected).abs() <= 0.001 => Ok(()),
        _ => Err(format!("the token {what} at {seconds:?} s, expected {expected:?} s")),
    }
}

pub(crate) fn compare_failure(expected: &Failure, error: &Error) -> Result<(), String> {
    let mut messages = vec![error.to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        messages.push(error.to_string());
        cause = error.source();
    }
    let said = messages.join(": ");
    // A chain has a line for each that it tried.
    let lines: usize = error.attempts().iter().map(|attempt| attempt.to_string().len() + 64).sum();
    let all = messages.iter().cloned().chain(error.attempts().iter().map(ToString::to_string));
    for (number, message) in all.enumerate() {
        let limit = if number == 0 { MESSAGE_LIMIT + lines } else { MESSAGE_LIMIT };
        if message.len() > limit {
            return Err(format!("a message has {} bytes, {limit} are allowed: {message}", message.len()));
        }
    }
    if error.kind().as_str() != expected.kind {
        return Err(format!("failed as {}, expected {}: {said}", error.kind().as_str(), expected.kind));
    }
    if expected.says.is_empty() {
        return Err(format!("the case expects no word of: {said}"));
    }
    if let Some(missing) = expected.says.iter().find(|fragment| !said.contains(*fragment)) {
        return Err(format!("the message lacks {missing:?}: {said}"));
    }
    let attempts = error.attempts().iter().map(|one| (one.credential().to_owned(), one.kind().as_str().to_owned()));
    let attempts: Vec<(String, String)> = attempts.collect();
    if attempts != expected.attempts {
        return Err(format!("attempts are {attempts:?}, expected {:?}: {said}", expected.attempts));
    }
    let retry_after = error.retry_after().map(|wait| wait.as_secs_f64());
    let facts = (error.http_status(), retry_after, error.entra_codes().to_vec());
    let wanted = (expected.http_status, expected.retry_after_secs, expected.entra_codes.clone());
    if facts != wanted {
        return Err(format!("status, wait, codes are {facts:?}, expected {wanted:?}: {said}"));
    }
    let ids = [(error.correlation_id(), &expected.correlation_id), (error.trace_id(), &expected.trace_id)];
    if let Some((found, wanted)) =
        ids.into_iter().find(|(found, wanted)| wanted.is_some() && *found != wanted.as_deref())
    {
        return Err(format!("an id is {found:?}, expected {wanted:?}: {said}"));
    }
    if error.claims() != expected.claims.as_deref() {
        return Err(format!("the claims are {:?}, expected {:?}: {said}", error.claims(), expected.claims));
    }
    if error.scopes() != expected.scopes {
        return Err(format!("the scopes are {:?}, expected {:?}: {said}", error.scopes(), expected.scopes));
    }
    let challenge = identity_oauth::www_authenticate(error).unwrap_or_default();
    if expected.www_authenticate.as_ref().is_some_and(|expected| *expected != challenge) {
        return Err(format!("the challenge is {challenge:?}, expected {:?}: {said}", expected.www_authenticate));
    }
    Ok(())
}

fn compare_requests(expected: &[Asked], asked: &[(Duration, Request)]) -> Result<(), String> {
    let mut wanted: Vec<(f64, &Asked)> =
        expected.iter().flat_map(|one| one.at_secs.iter().map(move |at| (*at, one))).collect();
    wanted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let list = || {
        let lines = asked.iter().map(|(at, request)| format!("\n  {} s {request:?}", at.as_secs_f64()));
        lines.collect::<String>()
    };
    if wanted.len() != asked.len() {
        return Err(format!("{} requests, expected {}:{}", asked.len(), wanted.len(), list()));
    }
    for ((at, expected), (time, request)) in wanted.into_iter().zip(asked) {
        if (time.as_secs_f64() - at).abs() > 0.001 {
            return Err(format!("a request at {} s, expected at {at} s:{}", time.as_secs_f64(), list()));
        }
        compare_request(expected, request)?;
    }
    Ok(())
}

fn compare_request(expected: &Asked, request: &Request) -> Result<(), String> {
    let start = (request.method.as_str(), request.url.as_str());
    if start != (expected.method.as_str(), expected.url.as_str()) {
        return Err(format!("asked {start:?}, expected {} {}", expected.method, expected.url));
    }
    let headers: BTreeMap<&str, &str> = request.headers.iter().map(|(name, value)| (*name, value.expose())).collect();
    let names = |list: &mut dyn Iterator<Item = &str>| list.collect::<Vec<_>>().join(", ");
    let same = headers.len() == request.headers.len()
        && headers.len() == expected.headers.len()
        && expected.headers.iter().all(|(name, value)| {
            headers.get(name.as_str()).is_some_and(|sent| value == sent || value == "*" && !sent.is_empty())
        });
    if !same {
        let sent = names(&mut request.headers.iter().map(|(name, _)| *name));
        return Err(format!("{start:?} with headers {sent} or other values, expected {:?}", expected.headers));
    }
    let body = request.body.as_ref().map(|body| body.expose());
    if let Some(expected) = &expected.form {
        compare_form(expected, body.unwrap_or_default())?;
    } else if let Some(expected) = &expected.xml {
        compare_xml(expected, body.unwrap_or_default())?;
    } else if body != expected.body.as_deref() {
        return Err(format!("{start:?} with body {body:?}, expected {:?}", expected.body));
    }
    let proxy = if expected.proxy.unwrap_or(expected.form.is_some()) { Proxy::Configured } else { Proxy::Never };
    let roots = match &request.trust {
        ServerTrust::OnlyRoots(pem) => Some(&**pem),
        _ => None,
    };
    let sent = (request.proxy, roots, request.server_name.as_deref());
    let wanted = (proxy, expected.roots.as_deref(), expected.server_name.as_deref());
    if sent != wanted {
        return Err(format!("{start:?} with proxy, roots, server name {sent:?}, expected {wanted:?}"));
    }
    Ok(())
}

/// The longest message of an error, in bytes: an excerpt of 1 KiB, and what is said about it.
const MESSAGE_LIMIT: usize = 2048;
