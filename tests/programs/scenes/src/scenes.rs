//! The situations, written once for every library that is measured (tests/peers includes this file).
//!
//! `callers N` | `cached CALLS THREADS` | `slow-scope` | `refresh-window` | `near-expiry` | `memory`. What the
//! endpoint answers is decided by the server that `cargo xtask bench` starts. Every line of output is `name value`;
//! times are nanoseconds.

use std::collections::HashSet;
use std::env;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::{Builder, Runtime};

/// A library under measurement.
pub(crate) trait Subject: Clone + Send + Sync + 'static {
    /// What it hands out.
    type Token: Send;

    /// A managed-identity credential with default settings.
    fn new() -> Result<Self, Box<dyn Error>>;

    /// One call of its `get_token`.
    fn token(&self, scope: &'static str) -> impl Future<Output = Result<Self::Token, String>> + Send;

    /// The text of the token.
    fn secret(token: &Self::Token) -> &str;
}

const SCOPE: &str = "https://storage.azure.com/.default";
const SLOW_SCOPE: &str = "https://vault.azure.net/.default";
const BUSY_TASKS: usize = 8;
const BUSY_TIME: Duration = Duration::from_secs(12);
/// A call that takes longer has waited for the network; a cached one takes microseconds.
const WAITED: Duration = Duration::from_millis(100);
const SAMPLES: usize = 20_000;

/// Runs the scene that the arguments name.
pub(crate) fn main<S: Subject>() -> ExitCode {
    match run::<S>() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed {error}");
            ExitCode::FAILURE
        }
    }
}

fn run<S: Subject>() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let scene = arguments.next().unwrap_or_default();
    let mut number =
        || -> Result<usize, Box<dyn Error>> { Ok(arguments.next().ok_or("a number is missing")?.parse()?) };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match scene.as_str() {
        "callers" => callers::<S>(&runtime, number()?),
        "cached" => cached::<S>(&runtime, number()?, number()?),
        "slow-scope" => runtime.block_on(slow_scope::<S>()),
        "refresh-window" => runtime.block_on(refresh_window::<S>()),
        "near-expiry" => runtime.block_on(near_expiry::<S>()),
        "memory" => runtime.block_on(memory::<S>()),
        other => Err(format!("no scene is called {other:?}").into()),
    }
}

/// Many callers at once, nothing cached.
fn callers<S: Subject>(runtime: &Runtime, count: usize) -> Result<(), Box<dyn Error>> {
    let subject = S::new()?;
    let started = Instant::now();
    let results = runtime.block_on(async {
        let tasks: Vec<_> = (0..count)
            .map(|_| {
                let subject = subject.clone();
                tokio::spawn(async move { subject.token(SCOPE).await })
            })
            .collect();
        let mut results = Vec::with_capacity(count);
        for task in tasks {
            results.push(task.await?);
        }
        Ok::<_, tokio::task::JoinError>(results)
    })?;
    let done = SystemTime::now().duration_since(UNIX_EPOCH)?;
    println!("elapsed {}", started.elapsed().as_nanos());
    println!("done-at {}", done.as_nanos());
    let distinct: HashSet<&str> = results.iter().map(|result| outcome::<S>(result)).collect();
    println!("tokens {}", results.iter().filter(|result| result.is_ok()).count());
    println!("errors {}", results.iter().filter(|result| result.is_err()).count());
    println!("distinct {}", distinct.len());
    Ok(())
}

/// Cached calls on one scope, on as many threads as asked.
fn cached<S: Subject>(runtime: &Runtime, calls: usize, threads: usize) -> Result<(), Box<dyn Error>> {
    let subject = S::new()?;
    runtime.block_on(subject.token(SCOPE))?;
    let measure = |subject: S| -> Result<Duration, String> {
        let local = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        local.block_on(async {
            let started = Instant::now();
            for _ in 0..calls {
                black_box(subject.token(black_box(SCOPE)).await?);
            }
            Ok(started.elapsed())
        })
    };
    let times = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                let subject = subject.clone();
                scope.spawn(|| measure(subject))
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
            .collect::<Result<Vec<_>, String>>()
    })?;
    let total: Duration = times.iter().sum();
    println!("per-call {}", total.as_nanos() as f64 / (calls as f64 * threads as f64));
    Ok(())
}

/// Cached calls on one scope while another one waits for its endpoint.
async fn slow_scope<S: Subject>() -> Result<(), Box<dyn Error>> {
    let subject = S::new()?;
    subject.token(SCOPE).await?;
    report("before", &sample(&subject).await?);
    let other = subject.clone();
    let slow = tokio::spawn(async move { other.token(SLOW_SCOPE).await.map(drop) });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let during = sample(&subject).await?;
    println!("slow-still-running {}", u8::from(!slow.is_finished()));
    report("during", &during);
    slow.await??;
    Ok(())
}

async fn sample<S: Subject>(subject: &S) -> Result<Vec<Duration>, String> {
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let started = Instant::now();
        black_box(subject.token(SCOPE).await?);
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

fn report(when: &str, sorted: &[Duration]) {
    let at = |share: usize| sorted.get(sorted.len() * share / 1000).map_or(0, Duration::as_nanos);
    println!("{when}-p50 {}", at(500));
    println!("{when}-p99 {}", at(990));
    println!("{when}-max {}", sorted.last().map_or(0, Duration::as_nanos));
}

/// Busy tasks while the token enters its refresh window again and again.
async fn refresh_window<S: Subject>() -> Result<(), Box<dyn Error>> {
    let subject = S::new()?;
    subject.token(SCOPE).await?;
    let end = Instant::now() + BUSY_TIME;
    let tasks: Vec<_> = (0..BUSY_TASKS)
        .map(|_| {
            let subject = subject.clone();
            tokio::spawn(async move {
                let (mut waits, mut longest, mut errors) = (0_u32, Duration::ZERO, 0_u32);
                while Instant::now() < end {
                    let started = Instant::now();
                    errors += u32::from(subject.token(SCOPE).await.is_err());
                    let took = started.elapsed();
                    waits += u32::from(took > WAITED);
                    longest = longest.max(took);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                (waits, longest, errors)
            })
        })
        .collect();
    let (mut waits, mut longest, mut errors) = (0, Duration::ZERO, 0);
    for task in tasks {
        let result = task.await?;
        waits += result.0;
        longest = longest.max(result.1);
        errors += result.2;
    }
    println!("waits {waits}\nlongest {}\nerrors {errors}", longest.as_nanos());
    Ok(())
}

/// One call with a token that is near its end, after the endpoint has gone.
async fn near_expiry<S: Subject>() -> Result<(), Box<dyn Error>> {
    let subject = S::new()?;
    let first = subject.token(SCOPE).await;
    let started = Instant::now();
    let second = subject.token(SCOPE).await;
    println!("elapsed {}", started.elapsed().as_nanos());
    println!("token {}", u8::from(second.is_ok()));
    println!("same {}", u8::from(first.is_ok() && outcome::<S>(&first) == outcome::<S>(&second)));
    Ok(())
}

/// One call to an endpoint that floods.
async fn memory<S: Subject>() -> Result<(), Box<dyn Error>> {
    let subject = S::new()?;
    let idle = peak()?;
    let result = subject.token(SCOPE).await;
    println!("peak-kib {}", peak()?.saturating_sub(idle));
    println!("token {}", u8::from(result.is_ok()));
    Ok(())
}

/// The most memory that this process has held, KiB (Linux).
fn peak() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

fn outcome<S: Subject>(result: &Result<S::Token, String>) -> &str {
    match result {
        Ok(token) => S::secret(token),
        Err(message) => message,
    }
}
