//! What all listeners share.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::directory::{App, Store};
use crate::endpoints::{Challenges, Refusal, TokenStore};
use crate::entra::Grants;
use crate::faults::Faults;
use crate::files::Files;
use crate::identity::Identity;
use crate::lock;
use crate::record::{Log, Request, Ticket};
use crate::resource::Resources;
use crate::source::Source;
use crate::tls::Authority;
use crate::token::Signer;

/// The state of an emulator.
pub(crate) struct Shared {
    pub(crate) signer: Signer,
    pub(crate) system: Option<Identity>,
    pub(crate) users: Vec<Identity>,
    pub(crate) resources: Resources,
    pub(crate) lifetime_secs: i64,
    pub(crate) secrets: Secrets,
    pub(crate) challenges: Mutex<Challenges>,
    pub(crate) arc_ignores_selectors: bool,
    pub(crate) fabric_tokens: Mutex<TokenStore>,
    pub(crate) faults: Faults,
    pub(crate) log: Mutex<Log>,
    pub(crate) connections: Mutex<[Connections; Source::ALL.len()]>,
    pub(crate) changed: watch::Sender<()>,
    pub(crate) started: Instant,
    /// The certificate of Service Fabric.
    pub(crate) certificate_pem: String,
    /// Its SHA-1 in capital hexadecimal digits.
    pub(crate) thumbprint: String,
    /// The origin of the control listener.
    pub(crate) origin: String,
    pub(crate) directory: Store,
    pub(crate) settings: Mutex<Settings>,
    /// The hosts, with ports, at which Entra answers.
    pub(crate) hosts: Vec<String>,
    /// The assertions that were used, newest last.
    pub(crate) used: Mutex<VecDeque<String>>,
    /// What applications asked for in the last minutes, newest last.
    pub(crate) asked: Mutex<VecDeque<(Instant, String)>>,
    /// What people have agreed to.
    pub(crate) grants: Mutex<Grants>,
    pub(crate) authority: Authority,
    /// The proxy of AKS identity bindings.
    pub(crate) binding: Authority,
    pub(crate) files: Files,
}

/// How Entra behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) lifetime_secs: i64,
    pub(crate) refresh_in_secs: Option<i64>,
    /// `expires_in` as a string of digits.
    pub(crate) expires_in_text: bool,
    /// How far Entra's clock is ahead of ours.
    pub(crate) skew_secs: i64,
    pub(crate) refuse_padding: bool,
    pub(crate) refuse_replays: bool,
    pub(crate) loop_limit: Option<usize>,
    pub(crate) refresh_lifetime_secs: i64,
    pub(crate) single_use_refresh_tokens: bool,
    pub(crate) pkce_is_optional: bool,
}

/// What clients must show; never printed.
pub(crate) struct Secrets {
    pub(crate) identity_header: String,
    pub(crate) service_fabric: String,
    pub(crate) azure_ml: String,
    /// `SYSTEM_ACCESSTOKEN`.
    pub(crate) azure_pipelines: String,
    /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
    pub(crate) github_actions: String,
}

/// What happened to the connections of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// Connections accepted since the start, refused ones included.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Requests that have arrived and are not answered yet.
    pub in_flight: u64,
    /// The most requests that were ever in flight at once.
    pub most_in_flight: u64,
}

impl Shared {
    pub(crate) fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.system.iter().chain(&self.users)
    }

    /// The identity of a request that names none.
    pub(crate) fn default_identity(&self) -> Result<Option<&Identity>, Refusal> {
        match (&self.system, self.users.as_slice()) {
            (Some(system), _) => Ok(Some(system)),
            (None, [only]) => Ok(Some(only)),
            (None, []) => Ok(None),
            (None, _) => Err(Refusal::new(
                400,
                "invalid_request",
                "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request",
            )),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        *lock(&self.settings)
    }

    /// Remembers an assertion; an error if it was used before and that matters.
    pub(crate) fn seen(&self, issuer: &str, id: &str, app: &App) -> Result<(), ()> {
        if !self.settings().refuse_replays {
            return Ok(());
        }
        let name = format!("{} {issuer} {id}", app.client_id());
        let mut used = lock(&self.used);
        if used.contains(&name) {
            return Err(());
        }
        used.push_back(name);
        if used.len() > MAX_USED {
            used.pop_front();
        }
        Ok(())
    }

    /// Remembers that something was asked for; false if it was too often.
    pub(crate) fn may_ask(&self, what: String) -> bool {
        let Some(limit) = self.settings().loop_limit else { return true };
        let mut asked = lock(&self.asked);
        while asked.front().is_some_and(|(when, _)| when.elapsed() > LOOP_WINDOW) {
            asked.pop_front();
        }
        if asked.iter().filter(|(_, other)| *other == what).count() >= limit {
            return false;
        }
        asked.push_back((Instant::now(), what));
        true
    }

    /// The time at that source.
    pub(crate) fn now(&self, source: Source) -> SystemTime {
        let now = SystemTime::now();
        let skew = if source.is_authority() { self.settings().skew_secs } else { 0 };
        let distance = Duration::from_secs(skew.unsigned_abs());
        let moved = if skew < 0 { now.checked_sub(distance) } else { now.checked_add(distance) };
        moved.unwrap_or(now)
    }

    pub(crate) fn record(&self, mut request: Request) -> (Request, Ticket) {
        // Without randomness no token is signed either: the answer will say so.
        request.trace_id = self.signer.random_guid().unwrap_or_default();
        request.time = SystemTime::now();
        request.since_start = self.started.elapsed();
        let ticket = lock(&self.log).push(request.clone());
        self.changed.send_replace(());
        (request, ticket)
    }

    pub(crate) fn count(&self, source: Source, change: impl FnOnce(&mut Connections)) {
        if let Some(row) = lock(&self.connections).get_mut(source.row()) {
            change(row);
        }
        self.changed.send_replace(());
    }
}

/// How long requests count for a loop.
const LOOP_WINDOW: Duration = Duration::from_secs(300);
/// How many used assertions are remembered.
const MAX_USED: usize = 4_096;

/// Counts a connection, or a request in flight, until it is dropped.
pub(crate) struct Counted<'a> {
    shared: &'a Shared,
    source: Source,
    end: fn(&mut Connections),
}

impl<'a> Counted<'a> {
    pub(crate) fn connection(shared: &'a Shared, source: Source) -> Self {
        shared.count(source, |row| {
            row.accepted += 1;
            row.open += 1;
        });
        Self { shared, source, end: |row| row.open -= 1 }
    }

    pub(crate) fn request(shared: &'a Shared, source: Source) -> Self {
        shared.count(source, |row| {
            row.in_flight += 1;
            row.most_in_flight = row.most_in_flight.max(row.in_flight);
        });
        Self { shared, source, end: |row| row.in_flight -= 1 }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.shared.count(self.source, self.end);
    }
}
