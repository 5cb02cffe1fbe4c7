//! The report for scripts. Its fields are a promise; `identity diagnose --help` lists them.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{
    report::{FileFacts, Link, Outcome, Report, Shown, State, TokenFacts, Tool, Variable},
    text,
};
use crate::{failure, when};

pub(super) fn write(report: &Report) -> Value {
    let (winner, error) = match &report.outcome {
        Outcome::Wins(link) => (Some(link.name()), None),
        Outcome::Fails(error) => (None, Some(error)),
    };
    let network = &report.network;
    let answer = network.answer.as_ref();
    json!({
        "version": report.version,
        "os": report.os,
        "arch": report.arch,
        "time": when::seconds(report.time),
        "emulator": report.is_emulated,
        "scope": report.scope,
        "winner": winner,
        // What each credential said is in its link.
        "error": error.map(|error| without_attempts(failure::to_json(error))),
        "next_steps": text::steps(report),
        "warnings": report.warnings(),
        "links": report.links.iter().enumerate().map(|(index, one)| link(report, index, one)).collect::<Vec<_>>(),
        "places": report.places.iter().map(|place| json!({ "name": place.name, "sign": place.sign })).collect::<Vec<_>>(),
        "variables": report.variables.iter().map(variable).collect::<Vec<_>>(),
        "files": report.files.iter().map(file).collect::<Vec<_>>(),
        "managed_identity": report.endpoint.as_ref().map(|endpoint| {
            json!({ "source": endpoint.source, "origin": endpoint.origin })
        }),
        "tools": report.tools.as_ref().map(|tools| tools.iter().map(tool).collect::<Vec<_>>()),
        "network": {
            "authority": network.authority.as_ref().ok(),
            "authority_trouble": network.authority.as_ref().err(),
            "http_status": answer.ok().map(|reached| reached.status),
            "milliseconds": answer.ok().map(|reached| millis(reached.took)),
            "clock_ahead_seconds": answer.ok().and_then(|reached| reached.clock_ahead),
            "answer_trouble": answer.err(),
            "proxy": network.proxy.as_ref().ok(),
            "proxy_trouble": network.proxy.as_ref().err(),
            "roots": network.roots.as_ref().ok(),
            "roots_trouble": network.roots.as_ref().err(),
        },
    })
}

fn link(report: &Report, index: usize, link: &Link) -> Value {
    let (reason, token) = match &link.state {
        State::LeftOut(reason) => (Some(reason), None),
        State::Token(token) => (None, Some(token_facts(token))),
        _ => (None, None),
    };
    json!({
        "position": index + 1,
        "name": link.link.name(),
        "state": link.state.name(),
        "reached": report.is_reached(index),
        "milliseconds": link.took.map(millis),
        "reason": reason,
        "error": link.state.error().map(failure::to_json),
        "token": token,
    })
}

fn token_facts(token: &TokenFacts) -> Value {
    json!({
        "credential": token.credential,
        "source": token.origin,
        "expires_on": when::seconds(token.expires_on),
        "audience": token.audience,
        "user": token.user,
        "client_id": token.client_id,
        "object_id": token.object_id,
        "resource_id": token.resource_id,
        "tenant_id": token.tenant_id,
    })
}

fn variable(variable: &Variable) -> Value {
    let (value, length) = match &variable.shown {
        Shown::Empty => (Some(""), None),
        Shown::Value(value) => (Some(value.as_str()), None),
        // Nobody can count what is no text.
        Shown::Hidden(0) => (None, None),
        Shown::Hidden(length) => (None, Some(*length)),
    };
    json!({ "name": variable.name, "value": value, "hidden_length": length, "warnings": variable.warnings, "note": variable.note })
}

fn file(file: &FileFacts) -> Value {
    let seconds = |time: SystemTime| when::seconds(time);
    json!({
        "variable": file.variable,
        "path": file.path,
        "trouble": file.trouble,
        "bytes": file.bytes,
        "modified": file.modified.map(seconds),
        "token": file.token.as_ref().map(|token| json!({
            "issuer": token.issuer,
            "subject": token.subject,
            "audience": token.audience,
            "expires_on": token.expires_on.map(seconds),
        })),
        "warnings": file.warnings,
    })
}

fn tool(tool: &Tool) -> Value {
    json!({
        "name": tool.name,
        "path": tool.program.as_ref().map(|program| program.display().to_string()),
        "version": tool.version.as_ref().ok(),
        "trouble": tool.version.as_ref().err(),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn without_attempts(mut error: Value) -> Value {
    if let Some(object) = error.as_object_mut() {
        object.remove("attempts");
    }
    error
}
