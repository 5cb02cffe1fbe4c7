//! A service that acts for many users at a time, timed and counted.
//!
//! `program-obo USERS AT-A-TIME [CAPACITY]` exchanges the token of each user once, then of each again. With a capacity it
//! exchanges once only, and tells what memory a tenth of the users took, and all of them.

#![expect(clippy::disallowed_methods, reason = "measures real time, reads its variables and its memory")]
#![expect(clippy::print_stdout, reason = "prints what it measured")]

use std::{
    collections::HashSet,
    env, fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use identity::{OnBehalfOfClient, TokenCredential};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const SCOPE: &str = "https://graph.microsoft.com/.default";

fn main() -> Result<()> {
    let mut numbers = env::args().skip(1).map(|text| text.parse::<usize>());
    let mut number = || numbers.next().transpose();
    let users = number()?.ok_or("how many users?")?;
    let at_a_time = number()?.ok_or("how many at a time?")?;
    let capacity = number()?;
    let var = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let mut builder = OnBehalfOfClient::builder(var("AZURE_TENANT_ID")?, var("AZURE_CLIENT_ID")?)
        .client_secret(var("AZURE_CLIENT_SECRET")?)
        .disable_instance_discovery();
    if let Some(capacity) = capacity {
        builder = builder.cache_capacity(capacity);
    }
    let client = builder.build()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        if capacity.is_some() {
            round(&client, 0, users / 10, at_a_time).await?;
            println!("kib-after-a-tenth {}", memory("VmRSS:")?);
            // In pieces, so that what this program itself remembers stays small.
            for tenth in 1..10 {
                round(&client, users / 10 * tenth, users / 10 * (tenth + 1), at_a_time).await?;
            }
            println!("kib-after-all {}", memory("VmRSS:")?);
            return Ok(());
        }
        let start = Instant::now();
        let mut first = round(&client, 0, users, at_a_time).await?;
        println!("elapsed {}", start.elapsed().as_nanos());
        first.waits.sort_unstable();
        println!("p50 {}", percentile(&first.waits, 50).as_nanos());
        println!("p99 {}", percentile(&first.waits, 99).as_nanos());
        println!("tokens {}", first.tokens.len());
        println!("kib {}", memory("VmHWM:")?);
        let start = Instant::now();
        let second = round(&client, 0, users, at_a_time).await?;
        println!("again-elapsed {}", start.elapsed().as_nanos());
        println!("again-same {}", u8::from(second.tokens == first.tokens));
        Ok(())
    })
}

/// What came of a round: different tokens, and how long each user waited.
#[derive(Default)]
struct Round {
    tokens: HashSet<String>,
    waits: Vec<Duration>,
}

/// Each user from `from` on, so many at a time. Like the handler of a request, each makes a credential of its own.
async fn round(client: &OnBehalfOfClient, from: usize, to: usize, at_a_time: usize) -> Result<Round> {
    let (next, done) = (Arc::new(AtomicUsize::new(from)), Arc::new(Mutex::new(Round::default())));
    let mut tasks = Vec::new();
    for _ in 0..at_a_time {
        let (client, next, done) = (client.clone(), Arc::clone(&next), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            loop {
                let user = next.fetch_add(1, Ordering::Relaxed);
                if user >= to {
                    return Ok(());
                }
                let start = Instant::now();
                let credential = client.credential(assertion(user))?;
                let token = credential.get_token(&[SCOPE], None).await?;
                let mut done =
                    done.lock().map_err(|_| identity::Error::new(identity::ErrorKind::Protocol, "poisoned"))?;
                done.waits.push(start.elapsed());
                done.tokens.insert(token.secret().to_owned());
            }
        }));
    }
    for task in tasks {
        let result: identity::Result<()> = task.await?;
        result?;
    }
    Ok(std::mem::take(&mut *done.lock().map_err(|_| "poisoned")?))
}

/// As long as a user's token is.
fn assertion(user: usize) -> String {
    format!("{}.{user}.signature", "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9".repeat(33))
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Of this process, in KiB.
fn memory(field: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
