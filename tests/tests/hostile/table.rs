//! A row of what goes wrong and what comes of it, and how rows are run.

use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use identity_confidential::ClientSecretCredential;
use identity_core::{CallContext, ErrorKind, Platform, TokenCredential, TokenRequestOptions};
use identity_emulator::{Answer, Emulator, Source};
use identity_msi::ManagedIdentityCredential;
use identity_tests::{Logs, Variables, find_secret, platform_of, shown};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    SCOPE,
    fast::{SPEED, fast},
    runtime,
};

/// What goes wrong, and what comes of it.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) source: Source,
    /// One answer for each of the first requests; then `standing`, else real ones.
    pub(crate) script: Vec<Answer>,
    pub(crate) standing: Option<Answer>,
    /// Variables in place of the emulator's.
    pub(crate) variables: &'static [(&'static str, &'static str)],
    pub(crate) in_chain: bool,
    pub(crate) expected: Expected,
    /// How many requests the emulator sees.
    pub(crate) requests: RangeInclusive<u64>,
    /// How long it takes at most, in seconds of the credential's own clock.
    pub(crate) within_secs: u64,
}

pub(crate) enum Expected {
    Token,
    /// A kind, and a part of the message.
    Failure(ErrorKind, &'static str),
}

/// A row whose standing answer leads to a final failure at once.
pub(crate) fn row(what: &'static str, source: Source, answer: Answer, kind: ErrorKind, says: &'static str) -> Row {
    Row {
        what,
        source,
        script: Vec::new(),
        standing: Some(answer),
        variables: &[],
        in_chain: false,
        expected: Expected::Failure(kind, says),
        requests: 1..=1,
        within_secs: 10,
    }
}

/// A row whose script is followed by a real answer.
pub(crate) fn recovers(what: &'static str, source: Source, script: Vec<Answer>, requests: u64) -> Row {
    Row {
        script,
        standing: None,
        expected: Expected::Token,
        requests: requests..=requests,
        within_secs: 45,
        ..row(what, source, Answer::real(), ErrorKind::Protocol, "")
    }
}

impl Row {
    pub(crate) fn requests(self, requests: RangeInclusive<u64>) -> Self {
        Self { requests, ..self }
    }

    pub(crate) fn within_secs(self, within_secs: u64) -> Self {
        Self { within_secs, ..self }
    }

    pub(crate) fn variables(self, variables: &'static [(&'static str, &'static str)]) -> Self {
        Self { variables, ..self }
    }

    pub(crate) fn in_chain(self) -> Self {
        Self { in_chain: true, ..self }
    }

    async fn run(self) -> Result<(), String> {
        let emulator = Emulator::builder().start_in_background().unwrap();
        emulator.faults().script(self.source, self.script);
        if let Some(answer) = self.standing {
            emulator.faults().always(self.source, answer);
        }
        let mut variables = emulator.variables(self.source);
        variables.extend(self.variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let platform = platform_of(&emulator, self.source).with_env(Arc::new(Variables::new(variables)));
        let credential = credential(self.source, &fast(&platform));
        let context = if self.in_chain { CallContext::Chain } else { CallContext::Alone };
        let options = TokenRequestOptions::new().with_context(context);

        let start = Instant::now();
        let result = credential.get_token(&[SCOPE], Some(&options)).await;
        let took = start.elapsed() * SPEED;

        let mut visible = format!("{credential:?} {result:?} {result:#?}");
        visible.extend(result.as_ref().err().map(|error| shown(error)));
        match (&result, &self.expected) {
            (Ok(token), Expected::Token) if token.secret().starts_with("eyJ") => {}
            (Err(error), Expected::Failure(kind, says)) if error.kind() == *kind && visible.contains(says) => {}
            (_, Expected::Token) => return Err(format!("{result:?}, expected a token")),
            (_, Expected::Failure(kind, says)) => return Err(format!("{result:?}, expected {kind:?} and {says:?}")),
        }
        let requests = emulator.request_count(self.source);
        if !self.requests.contains(&requests) {
            return Err(format!("{requests} requests, expected {:?}: {visible}", self.requests));
        }
        // A margin for a machine with other work, in real time.
        if took > Duration::from_secs(self.within_secs) + SPEED * Duration::from_millis(800) {
            return Err(format!("took {} s, expected at most {} s", took.as_secs(), self.within_secs));
        }
        if visible.len() > 16 * 1024 {
            return Err(format!("{} bytes are shown", visible.len()));
        }
        let secrets: Vec<String> = emulator
            .variables(self.source)
            .into_iter()
            .filter(|(name, _)| name.ends_with("_HEADER") || name.ends_with("_SECRET"))
            .map(|(_, value)| value)
            .collect();
        // `eyJ` begins every signed token.
        let secrets = || secrets.iter().map(String::as_str).chain(["eyJ"]);
        for text in [visible, Logs::of_process().text()] {
            if let Some(secret) = find_secret(&text, secrets()) {
                let around: String = text.lines().filter(|line| line.contains(secret)).collect();
                return Err(format!("{secret:?} shows: {around}"));
            }
        }
        Ok(())
    }
}

/// What a program would use that asks this source.
pub(crate) fn credential(source: Source, platform: &Platform) -> Arc<dyn TokenCredential> {
    if source != Source::Entra {
        return Arc::new(ManagedIdentityCredential::builder().build_with(platform).unwrap());
    }
    let variable = |name| platform.env().text(name).unwrap().unwrap();
    let (tenant, client) = (variable("AZURE_TENANT_ID"), variable("AZURE_CLIENT_ID"));
    let builder = ClientSecretCredential::builder(tenant, client, variable("AZURE_CLIENT_SECRET"));
    Arc::new(builder.disable_instance_discovery().build_with(platform).unwrap())
}

/// Runs all rows, a few at a time, each with an emulator of its own.
pub(crate) fn run(rows: Vec<Row>) {
    Logs::of_process();
    let count = rows.len();
    let failures: Vec<String> = runtime().block_on(async {
        let places = Arc::new(Semaphore::new(6));
        let mut tasks = JoinSet::new();
        for row in rows {
            let places = Arc::clone(&places);
            tasks.spawn(async move {
                let _place = places.acquire().await.unwrap();
                let what = row.what;
                row.run().await.err().map(|problem| format!("{what}: {problem}"))
            });
        }
        // A panic in a row is a failure of the test, not of the row.
        tasks.join_all().await.into_iter().flatten().collect()
    });
    assert!(failures.is_empty(), "{} of {count} rows:\n{}", failures.len(), failures.join("\n"));
}
