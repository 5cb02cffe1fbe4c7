//! The machine of a case: its variables, files and network.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use identity_core::{
    BoxFuture, Clock as _, Platform,
    fakes::{FakeClock, FakeEnv, FakeTransport, FixedRandom, Sim, json, platform},
    http::{Reach, Request, Response, Transport, TransportError, TransportErrorKind},
};

use crate::{
    case::{Files, Folder, Reply, with_test_key},
    tools::Stage,
};

pub(crate) struct World {
    pub(crate) clock: FakeClock,
    /// The time of day at its origin.
    pub(crate) start: SystemTime,
    pub(crate) env: FakeEnv,
    pub(crate) sim: Sim,
    pub(crate) platform: Platform,
    pub(crate) stage: Stage,
    script: Arc<Mutex<Script>>,
}

/// The answers that are left, and what was asked so far.
#[derive(Default)]
struct Script {
    rows: VecDeque<Reply>,
    asked: Vec<(Duration, Request)>,
    surplus: usize,
}

impl World {
    pub(crate) fn new(folder: &Folder) -> Self {
        let clock = FakeClock::default();
        clock.jump_wall(i64::from(folder.case.start_day) * 86_400);
        let script =
            Arc::new(Mutex::new(Script { rows: folder.replies.iter().cloned().collect(), ..Script::default() }));
        let env = FakeEnv::default();
        let transport = transport(&clock, &env, &script);
        for (name, value) in &folder.env {
            env.set(name, value);
        }
        for (path, content) in &folder.files {
            env.file(path, Ok(content));
        }
        for (path, why) in &folder.case.unreadable {
            let denied = why == "permission-denied";
            env.file(path, Err(if denied { io::ErrorKind::PermissionDenied } else { io::ErrorKind::InvalidInput }));
        }
        for (path, bytes) in &folder.case.filled {
            env.file(path, Ok(&vec![b'x'; *bytes]));
        }
        for (path, target) in &folder.case.links {
            env.link(path, target);
        }
        let random = FixedRandom((folder.case.random * 2f64.powi(64)) as u64);
        let platform = platform(&clock, &transport, &env).with_transport(Arc::new(Strict(transport)));
        let stage = Stage::new(&clock, &folder.tools);
        let platform = platform.with_random(Arc::new(random)).with_processes(Arc::new(stage.clone()));
        let start = clock.now().wall;
        Self { sim: Sim::new(&clock), start, clock, env, platform, stage, script }
    }

    /// What was sent, and when.
    pub(crate) fn asked(&self) -> Vec<(Duration, Request)> {
        self.script.lock().unwrap().asked.clone()
    }

    /// How many answers were not asked for, and how many requests had none.
    pub(crate) fn left(&self) -> (usize, usize) {
        let script = self.script.lock().unwrap();
        (script.rows.iter().map(|row| row.times).sum(), script.surplus)
    }
}

/// A transport that looks at roots as a real one does, if not into them.
#[derive(Debug)]
struct Strict(FakeTransport);

impl Transport for Strict {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        self.0.send(request)
    }

    fn check_roots(&self, pem: &str) -> Result<(), TransportError> {
        let counts = ["BEGIN", "END"].map(|mark| pem.matches(&format!("-----{mark} CERTIFICATE-----")).count());
        if counts[0] > 0 && counts[0] == counts[1] {
            return Ok(());
        }
        Err(TransportError::new(TransportErrorKind::Refused, "no certificate is whole"))
    }
}

/// Answers as the script says, and keeps the promises that a request asks of every transport.
fn transport(clock: &FakeClock, env: &FakeEnv, script: &Arc<Mutex<Script>>) -> FakeTransport {
    let (time, env, script) = (clock.clone(), env.clone(), Arc::clone(script));
    FakeTransport::with_handler(clock, move |request| {
        let mut script = script.lock().unwrap();
        if request.reach == Reach::LocalOnly && !is_local(&request.url) {
            let error = TransportError::new(TransportErrorKind::Refused, "the address is not local");
            return Box::pin(async { Err(error) });
        }
        script.asked.push((time.elapsed(), request.clone()));
        let row = script.rows.pop_front();
        script.surplus += usize::from(row.is_none());
        if let Some(row) = &row
            && row.times > 1
        {
            script.rows.push_front(Reply { times: row.times - 1, ..row.clone() });
        }
        let after = row.as_ref().map_or(Duration::ZERO, |row| Duration::from_secs_f64(row.after_secs));
        let (sleep, late) = (time.sleep(after.min(request.timeout)), after >= request.timeout);
        let env = env.clone();
        Box::pin(async move {
            sleep.await;
            row.iter().for_each(|row| change(&env, &row.files));
            if late {
                return Err(TransportError::new(TransportErrorKind::Timeout, "no answer in time"));
            }
            row.map_or(Err(TransportError::new(TransportErrorKind::Refused, "no answer is left")), |row| {
                answer(&row, &request)
            })
        })
    })
}

/// Lets files become others.
pub(crate) fn change(env: &FakeEnv, files: &Files) {
    for (path, text) in files {
        let text = text.as_ref().map(|text| with_test_key(text));
        env.file(path, text.as_ref().map(|text| text.as_bytes()).ok_or(io::ErrorKind::NotFound));
    }
}

fn answer(row: &Reply, request: &Request) -> Result<Response, TransportError> {
    if let Some(fault) = &row.fault {
        return Err(TransportError::new(kind(fault), format!("{fault} by order")));
    }
    let mut body = row.json.as_ref().map_or_else(|| row.text.clone().unwrap_or_default(), ToString::to_string);
    if let Some((text, count)) = &row.filling {
        body = body.replace("{filling}", &text.repeat(*count));
    }
    if body.len() > request.body_limit {
        if (200..300).contains(&row.status) {
            return Err(TransportError::new(TransportErrorKind::TooLarge, "the answer is larger than its limit"));
        }
        body.truncate(request.body_limit);
    }
    let mut response = json(row.status, &body);
    if row.json.is_none() || !row.headers.is_empty() {
        let mut headers = row.headers.clone();
        if row.json.is_some() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        response = Response::new(row.status, headers, body.into_bytes());
    }
    Ok(response)
}

fn kind(name: &str) -> TransportErrorKind {
    use TransportErrorKind::{Closed, Connect, ConnectTimeout, Dns, Malformed, Tls};
    match name {
        "closed" => Closed,
        "connect" => Connect,
        "connect-timeout" => ConnectTimeout,
        "dns" => Dns,
        "malformed" => Malformed,
        "tls" => Tls,
        other => panic!("no fault is called {other}"),
    }
}

/// For the hosts that occur in cases; the real judge looks at addresses.
fn is_local(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    ["127.0.0.1", "localhost", "169.254.", "[::1]"].iter().any(|local| host.starts_with(local))
}
