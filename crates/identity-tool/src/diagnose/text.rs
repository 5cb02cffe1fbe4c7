//! The report for people: what happened, what was found, and at the end, where the eye is, what to do.

use std::{path::Path, time::Duration};

use identity::{ChainLink, Error};

use super::{
    page::{CONTINUED, Page, Style},
    report::{FileFacts, LONGEST, LONGEST_VALUE, Link, Outcome, Report, Shown, State, TokenFacts, Tool, cut},
};
use crate::{
    cli::{DEFAULT_SCOPE, flag_name},
    explain, failure,
    screen::{self, Paint},
    when,
};

pub(super) fn write(report: &Report, width: usize, paint: Paint) -> String {
    let mut page = Page::new(width, paint);
    head(&mut page, report);
    page.heading("the chain of DefaultAzureCredential, each credential asked for itself");
    if report.is_refused {
        page.text(2, "there is none, see below; without AZURE_TOKEN_CREDENTIALS these would be in it", Style::Plain);
    }
    for (index, link) in report.links.iter().enumerate() {
        write_link(&mut page, report, index, link);
    }
    if report.links.is_empty() {
        page.text(2, "there is none, see below", Style::Plain);
    }
    variables(&mut page, report);
    if !report.files.is_empty() {
        page.heading("files that they name");
        for file in &report.files {
            write_file(&mut page, report, file);
        }
    }
    machine(&mut page, report);
    page.heading("the way to Entra ID");
    network(&mut page, report);
    verdict(&mut page, report);
    page.into_text()
}

fn head(page: &mut Page, report: &Report) {
    let time = when::utc(when::seconds(report.time)).unwrap_or_default();
    let line = format!("identity {} on {} {}, {time}", report.version, report.os, report.arch);
    page.text(0, &line, Style::Plain);
    for place in &report.places {
        page.text(0, &format!("in {}, by {}", place.name, place.sign), Style::Plain);
    }
    let hint = if report.scope == DEFAULT_SCOPE { ", the default; --scope changes it" } else { "" };
    page.text(0, &format!("for {}{hint}", report.scope), Style::Plain);
    if report.is_emulated {
        page.text(0, "by the emulator: it shows how this works, and opens nothing real", Style::Bold);
    }
}

fn write_link(page: &mut Page, report: &Report, index: usize, link: &Link) {
    let is_reached = report.is_reached(index);
    let (word, style) = match &link.state {
        State::Token(_) if is_reached => ("token: it wins", Style::Good),
        State::Token(_) => ("token", Style::Plain),
        State::Unavailable(_) => ("unavailable", Style::Plain),
        State::Stops(_) if is_reached => ("fails, and stops the chain", Style::Bad),
        State::Stops(_) => ("would stop the chain", Style::Plain),
        State::Broken(_) => ("cannot be built, nor can the chain", Style::Bad),
        State::LeftOut(_) => ("left out", Style::Dim),
        State::NotInVersion(_) => ("not in this version", Style::Dim),
    };
    let took = link.took.filter(|took| took.as_millis() > 0);
    let took = took.map_or_else(String::new, |took| format!(", {}", length(took)));
    let is_asked = !matches!(link.state, State::LeftOut(_) | State::NotInVersion(_));
    let unreached = if is_asked && !is_reached { "; not reached" } else { "" };
    let name = format!("{:>2}  {}", index + 1, link.link.name());
    let name_style = if is_asked && is_reached { Style::Bold } else { Style::Plain };
    page.columns((&name, name_style, NAME_WIDTH), (&format!("{word}{took}{unreached}"), style));
    match &link.state {
        State::Token(token) => write_token(page, report, link.link, token),
        State::Unavailable(error) | State::Stops(error) | State::Broken(error) => {
            write_error(page, report, link, error)
        }
        State::LeftOut(reason) => {
            let is_same = |other: &Link| matches!(&other.state, State::LeftOut(told) if told == reason);
            if !report.links.iter().take(index).any(is_same) {
                page.text(CONTINUED, reason, Style::Dim);
            }
        }
        State::NotInVersion(_) => {}
    }
}

fn write_token(page: &mut Page, report: &Report, link: ChainLink, token: &TokenFacts) {
    let by = match (token.credential == link.name(), token.origin) {
        (true, "") => None,
        (true, origin) => Some(origin.to_owned()),
        (false, "") => Some(token.credential.to_owned()),
        (false, origin) => Some(format!("{}, {origin}", token.credential)),
    };
    let rows = [
        ("through", by),
        ("for", token.audience.clone()),
        ("expires", Some(when::until(token.expires_on, report.time))),
        ("user", token.user.clone()),
        ("client id", token.client_id.clone()),
        ("object id", token.object_id.clone()),
        ("resource id", token.resource_id.clone()),
        ("tenant", token.tenant_id.clone()),
    ];
    for (label, value) in rows {
        if let Some(value) = value {
            page.row(CONTINUED, LABEL_WIDTH, label, &value, Style::Plain);
        }
    }
}

/// The message of an error, cut where it is long, and its facts.
fn write_error(page: &mut Page, report: &Report, link: &Link, error: &Error) {
    let text = error.to_string();
    let mut left = LONGEST;
    for line in text.lines() {
        let shown: String = line.chars().take(left).collect();
        left -= shown.chars().count();
        let is_cut = shown.len() < line.len();
        // What a service says is not ours.
        for (number, part) in shown.splitn(2, "; it said: ").enumerate() {
            let part = if number == 0 { part.to_owned() } else { format!("it said: {part}") };
            page.text(CONTINUED, &if is_cut { format!("{part} ...") } else { part }, Style::Plain);
        }
        if is_cut {
            let emulator = if report.is_emulated { "--emulator " } else { "" };
            let (name, scope) = (flag_name(link.link), screen::word(&report.scope));
            let hint = format!("`identity token {emulator}--credential {name} --scope {scope}` tells it all");
            page.text(CONTINUED, &hint, Style::Dim);
            break;
        }
    }
    let facts = failure::facts(error);
    // That it is unavailable is told already.
    if facts != "CredentialUnavailable" {
        page.text(CONTINUED, &facts, Style::Dim);
    }
}

fn variables(page: &mut Page, report: &Report) {
    page.heading("variables that are set");
    if report.variables.is_empty() {
        page.text(2, "none of those that choose or prove an identity", Style::Plain);
    }
    for variable in &report.variables {
        let text = match &variable.shown {
            Shown::Empty => "empty, which counts as not set".to_owned(),
            Shown::Value(value) => value.clone(),
            Shown::Hidden(0) => "set".to_owned(),
            Shown::Hidden(1) => "set, 1 character".to_owned(),
            Shown::Hidden(length) => format!("set, {length} characters"),
        };
        page.row(2, VARIABLE_WIDTH, variable.name, &text, Style::Plain);
        warn(page, &variable.warnings);
        if let Some(note) = variable.note {
            page.text(CONTINUED, &format!("note: {note}"), Style::Dim);
        }
    }
}

fn write_file(page: &mut Page, report: &Report, file: &FileFacts) {
    page.row(2, VARIABLE_WIDTH, file.variable, &file.path, Style::Plain);
    if let Some(trouble) = &file.trouble {
        page.text(CONTINUED, &format!("cannot be read: {}", cut(trouble, LONGEST)), Style::Bad);
    } else {
        let age = file.modified.map(|time| match report.time.duration_since(time) {
            Ok(age) => format!(", written {} ago", when::length(age)),
            Err(_) => ", written in the future".to_owned(),
        });
        let bytes = file.bytes.unwrap_or_default();
        page.text(CONTINUED, &format!("{bytes} bytes{}, readable", age.unwrap_or_default()), Style::Plain);
    }
    if let Some(token) = &file.token {
        page.text(CONTINUED, "a token, which nobody has verified here", Style::Plain);
        let rows = [
            ("issuer", token.issuer.clone()),
            ("subject", token.subject.clone()),
            ("audience", token.audience.clone()),
            ("expires", token.expires_on.map(|time| when::until(time, report.time))),
        ];
        for (label, value) in rows {
            page.row(CONTINUED, LABEL_WIDTH, label, value.as_deref().unwrap_or("not told"), Style::Plain);
        }
    }
    warn(page, &file.warnings);
}

fn machine(page: &mut Page, report: &Report) {
    page.heading("what there is on this machine");
    if let Some(endpoint) = &report.endpoint {
        let text = match (endpoint.source, &endpoint.origin) {
            ("none", _) => "none: the variables name no source that is whole".to_owned(),
            ("IMDS", Some(origin)) => format!("IMDS at {origin}, if anywhere: no variable names another"),
            (source, Some(origin)) => format!("{source} at {origin}"),
            (source, None) => source.to_owned(),
        };
        page.row(2, MACHINE_WIDTH, "managed identity", &text, Style::Plain);
    }
    let shown = |program: &Path| cut(&program.display().to_string(), LONGEST_VALUE);
    let Some(tools) = &report.tools else {
        return page.row(2, MACHINE_WIDTH, "tools", "this world has none", Style::Plain);
    };
    for Tool { name, program, version } in tools {
        let text = match (program, version) {
            (Some(program), Ok(version)) => format!("{version}, {}", shown(program)),
            (Some(program), Err(trouble)) => format!("{}: {}", shown(program), cut(trouble, LONGEST)),
            (None, _) => "not on the PATH".to_owned(),
        };
        page.row(2, MACHINE_WIDTH, name, &text, Style::Plain);
    }
}

fn network(page: &mut Page, report: &Report) {
    let network = &report.network;
    // Who has a token got it without that.
    let bad = if matches!(report.outcome, Outcome::Wins(_)) { Style::Plain } else { Style::Bad };
    let or_trouble = |result: &Result<String, String>| match result {
        Ok(text) => (text.clone(), Style::Plain),
        Err(trouble) => (cut(trouble, LONGEST), bad),
    };
    let mut row = |label, (text, style): (String, Style)| page.row(2, MACHINE_WIDTH, label, &text, style);
    match &network.authority {
        Ok(authority) => {
            row("authority", (authority.clone(), Style::Plain));
            let answer = network.answer.as_ref();
            let answer = answer.map(|reached| format!("HTTP {} after {}", reached.status, length(reached.took)));
            row("answer", or_trouble(&answer.map_err(Clone::clone)));
        }
        Err(trouble) => row("authority", (cut(trouble, LONGEST), Style::Plain)),
    }
    let is_proxy = |name: &str| PROXIES.iter().any(|proxy| name.eq_ignore_ascii_case(proxy));
    let is_set = report.variables.iter().any(|one| is_proxy(one.name) && one.shown != Shown::Empty);
    let none = if is_set { "none to this host, though a variable names one" } else { "none" };
    let proxy = network.proxy.clone().map(|proxy| proxy.unwrap_or_else(|| none.to_owned()));
    row("proxy", or_trouble(&proxy));
    row("trusted roots", or_trouble(&network.roots.clone().map(|count| count.to_string())));
    let ahead = network.answer.as_ref().ok().and_then(|reached| reached.clock_ahead);
    let clock = match ahead {
        None => "not compared: there was no answer that tells the time".to_owned(),
        Some(-2..=2) => "as the authority's".to_owned(),
        Some(ahead) => {
            let off = when::length(Duration::from_secs(ahead.unsigned_abs()));
            format!("{off} {} the authority's", if ahead > 0 { "ahead of" } else { "behind" })
        }
    };
    row("clock", (clock, Style::Plain));
    warn(page, network.clock_warning().as_slice());
}

fn verdict(page: &mut Page, report: &Report) {
    page.heading("verdict");
    let end = report.end();
    let winner_behind = || {
        let behind = report.links.iter().skip(end.map_or(0, |end| end + 1));
        behind.map(|link| (link.link, &link.state)).find(|(_, state)| state.is_the_end())
    };
    match &report.outcome {
        Outcome::Wins(link) => {
            let whose = end.and_then(|end| report.links.get(end)).and_then(|link| match &link.state {
                State::Token(token) => token.user.as_ref().or(token.client_id.as_ref()),
                _ => None,
            });
            let whose = whose.map_or_else(String::new, |whose| format!(", of {whose}"));
            page.text(2, &format!("DefaultAzureCredential takes the token of {link}{whose}"), Style::Good);
            let others = report.links.iter().enumerate();
            let others = others.filter(|(index, one)| !report.is_reached(*index) && one.took.is_some());
            let others: Vec<&str> = others.map(|(_, one)| one.link.name()).collect();
            if !others.is_empty() {
                let text = format!("a program stays with that, and does not ask {}", others.join(", "));
                page.text(2, &text, Style::Plain);
            }
        }
        Outcome::Fails(error) => {
            page.text(2, &format!("DefaultAzureCredential gets no token: {}", error.kind().as_str()), Style::Bad);
            if report.links.is_empty() || report.is_refused {
                page.text(2, &cut(&error.to_string(), LONGEST), Style::Plain);
            }
            match steps(report).as_slice() {
                [only] => page.text(2, only, Style::Plain),
                several => {
                    for (index, step) in several.iter().enumerate() {
                        page.row(2, 2, &format!("{}.", index + 1), step, Style::Plain);
                    }
                }
            }
            let stop = end.and_then(|end| report.links.get(end));
            if let Some(Link { link, state: State::Broken(_), .. }) = stop {
                let text = format!("solve what the line of {link} says; without that there is no chain");
                page.text(2, &text, Style::Plain);
            }
            if let (Some(stop), Some((other, State::Token(_)))) = (stop, winner_behind()) {
                let text = format!(
                    "{other}, which comes later, has a token: `--exclude {}` shows the chain with it, and AZURE_TOKEN_CREDENTIALS chooses for a program",
                    flag_name(stop.link)
                );
                page.text(2, &text, Style::Plain);
            }
        }
    }
    if let Outcome::Fails(error) = &report.outcome {
        page.text(2, &format!("read on by: `{}`", explain::command(error.kind())), Style::Dim);
    }
    let warnings = report.warnings();
    if warnings.is_empty() {
        return;
    }
    page.text(2, "look at these warnings, too:", Style::Bold);
    for warning in warnings {
        page.row(2, 1, "-", &warning, Style::Plain);
    }
}

fn warn(page: &mut Page, warnings: &[String]) {
    for warning in warnings {
        page.text(CONTINUED, &format!("warning: {warning}"), Style::Bad);
    }
}

/// What to do by the error of a chain, the likeliest first; but for what the reader has just done.
pub(super) fn steps(report: &Report) -> Vec<String> {
    let Outcome::Fails(error) = &report.outcome else { return Vec::new() };
    let mut steps: Vec<String> =
        error.steps().iter().filter(|step| !step.ends_with("`identity diagnose`")).cloned().collect();
    let Some(end) = report.end() else { return steps };
    if let Some(Link { link, state: State::Stops(error), .. }) = report.links.get(end) {
        // The chain has not tried those behind it; here they were asked.
        let of_the_chain = format!("solve what the line of {link} says");
        steps.retain(|step| !step.starts_with(&of_the_chain));
        let behind = report.links.iter().skip(end + 1).filter(|link| link.took.is_some());
        let behind: Vec<&str> = behind.map(|link| link.link.name()).collect();
        let mut step = format!("solve what {link} says: {}", first_sentence(&error.to_string()));
        if !behind.is_empty() {
            step = format!("{step}; a program does not go on to: {}", behind.join(", "));
        }
        steps.insert(0, step);
    }
    steps
}

/// What failed, without what to do and what others said.
fn first_sentence(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let sentence = line.split("; ").next().unwrap_or_default();
    cut(sentence.split(". ").next().unwrap_or_default(), LONGEST_VALUE)
}

/// `12 ms`, `1.2 s`.
fn length(time: Duration) -> String {
    match time.as_millis() {
        millis @ 0..1_000 => format!("{millis} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

const PROXIES: [&str; 2] = ["HTTPS_PROXY", "ALL_PROXY"];
/// The longest name of a credential, its number included.
const NAME_WIDTH: usize = 33;
const LABEL_WIDTH: usize = 11;
const VARIABLE_WIDTH: usize = 28;
const MACHINE_WIDTH: usize = 16;

#[cfg(test)]
mod tests;
