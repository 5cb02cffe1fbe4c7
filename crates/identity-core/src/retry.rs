//! Sends a request until it is answered, its budget is spent, or trying again makes no sense.

use std::time::Duration;

use crate::{
    Error, ErrorKind, Moment, Platform, Random, Result,
    date::{parse_http_date, parse_seconds},
    expiry::unix_seconds,
    gate::Gate,
    http::{Request, Response, TransportErrorKind},
};

/// How patient a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is sent again at most.
    pub retries: u32,
    /// The wait before the first retry; it doubles from one to the next.
    pub base: Duration,
    /// The longest wait between two requests, unless the server names one.
    pub cap: Duration,
    /// Whether waits are drawn between zero and their full length.
    pub jitter: bool,
    /// The time for everything: requests, waits and queueing.
    pub budget: Duration,
    /// Whether the request holds something that is good for one use: it is sent again only if nothing of it was written.
    pub once: bool,
    /// How a [`Verdict::Upgrading`] is waited out, where the endpoint has that state.
    pub upgrade: Option<UpgradePolicy>,
}

/// How patient a flow is with an endpoint that says that it is being upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradePolicy {
    /// The wait between two requests.
    pub every: Duration,
    /// No request is sent later than this after the first.
    pub until: Duration,
    /// The time for everything, in place of [`RetryPolicy::budget`].
    pub budget: Duration,
}

impl RetryPolicy {
    /// Metadata endpoints: four retries after 1, 2, 4 and 8 s, 45 s in all. An upgrade is asked about every 10 s for
    /// 80 s, and extends the whole to 90 s.
    ///
    /// Source: our choice within <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#retry-guidance>,
    /// which asks for patience of at least 70 s with an upgrade.
    pub const METADATA: Self = Self {
        retries: 4,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(8),
        jitter: false,
        budget: Duration::from_secs(45),
        once: false,
        upgrade: Some(UpgradePolicy {
            every: Duration::from_secs(10),
            until: Duration::from_secs(80),
            budget: Duration::from_secs(90),
        }),
    };

    /// Token endpoints of Entra ID: three retries after at most 0.8, 1.6 and 3.2 s, drawn evenly, 45 s in all.
    ///
    /// Source: the base is azure-core 1.41.0's, `_retry.py`; our choice otherwise.
    pub const ENTRA: Self = Self {
        retries: 3,
        base: Duration::from_millis(800),
        cap: Duration::from_secs(8),
        jitter: true,
        budget: Duration::from_secs(45),
        once: false,
        upgrade: None,
    };
}

/// What a flow thinks of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The last word, good or bad.
    Final,
    /// Worth another try.
    Retry,
    /// The endpoint is being upgraded and will be back soon.
    Upgrading,
}

/// The last answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// What was answered.
    pub response: Response,
    /// Whether the flow would have liked to try again but could not any more.
    pub exhausted: bool,
    /// How long the server asked to wait, at most one hour.
    pub retry_after: Option<Duration>,
    /// How many requests were sent.
    pub attempts: u32,
}

/// Sends `request` through `gate`, again and again as `policy` and `judge` allow.
///
/// # Errors
///
/// - [`ErrorKind::InvalidArgument`] if the request cannot be sent as it is.
/// - [`ErrorKind::Transport`] if no whole answer came, or the gate is closed.
/// - [`ErrorKind::Protocol`] for a redirect, and for an answer that is too large or not HTTP.
///
/// # Cancellation
///
/// Dropping the future closes the connection and gives back the gate's slot.
pub async fn send(
    platform: &Platform,
    gate: &Gate,
    policy: &RetryPolicy,
    request: &Request,
    judge: &(dyn Fn(&Response) -> Verdict + Sync),
) -> Result<Answer> {
    let clock = platform.clock().as_ref();
    let start = clock.now().monotonic;
    let elapsed = || clock.now().monotonic.saturating_duration_since(start);
    let mut budget = policy.budget;
    let (mut attempts, mut retries) = (0, 0);
    let (mut last, mut had_time): (Option<Failure>, bool) = (None, false);
    loop {
        let permit = match (gate.enter(clock, attempts == 0, budget.saturating_sub(elapsed())).await, last.take()) {
            (Ok(permit), _) => permit,
            // Another flight was told to pause for longer than this one may take.
            (Err(error), Some(failure)) => {
                let gate = Some(gate).filter(|_| had_time);
                return give_up(gate, request, failure, error.retry_after(), attempts, clock.now());
            }
            (Err(error), None) => return Err(error),
        };
        let is_last_chance = permit.is_last_chance();
        let sent_at = clock.now();
        let left = budget.saturating_sub(elapsed());
        if left.is_zero() {
            return Err(Error::new(ErrorKind::Transport, format!("no time was left to ask {}", request.origin())));
        }
        // What was cut short by this flight's own hurry says nothing about the endpoint.
        had_time |= left >= request.timeout / 2;
        let mut attempt = request.clone();
        attempt.timeout = attempt.timeout.min(left);
        attempt.connect_timeout = attempt.connect_timeout.min(attempt.timeout);
        let result = platform.transport().send(attempt).await;
        attempts += 1;
        let now = clock.now();
        let failure = match result {
            Ok(mut response) => {
                response.sent_at = Some(sent_at);
                if (300..400).contains(&response.status()) {
                    permit.healthy();
                    return Err(redirect(request, &response));
                }
                let verdict = judge(&response);
                if verdict == Verdict::Final {
                    permit.healthy();
                    let retry_after = if response.status() < 400 { None } else { retry_after(&response, now) };
                    return Ok(Answer { response, exhausted: false, retry_after, attempts });
                }
                let retry_after = retry_after(&response, now);
                match (retry_after, response.status()) {
                    (Some(wait), _) => permit.pause(now.monotonic, wait, true),
                    (None, 429) => permit.pause(now.monotonic, TOO_MANY_REQUESTS_PAUSE, false),
                    _ => permit.failed(now.monotonic),
                }
                Failure { verdict, retry_after, result: Ok(response) }
            }
            Err(error) => {
                permit.failed(now.monotonic);
                let again = match error.kind() {
                    TransportErrorKind::Connect
                    | TransportErrorKind::ConnectTimeout
                    | TransportErrorKind::Closed
                    | TransportErrorKind::Timeout => true,
                    TransportErrorKind::Dns => attempts < 2,
                    _ => false,
                };
                if !again {
                    let unreachable = error.kind() == TransportErrorKind::Dns;
                    let error = Error::from(error);
                    if unreachable {
                        gate.close(now.monotonic, error.clone(), Duration::ZERO, false);
                    }
                    return Err(error);
                }
                Failure { verdict: Verdict::Retry, retry_after: None, result: Err(error) }
            }
        };
        // Nor is one try that may not be repeated a reason to turn others away.
        had_time &= !(policy.once && failure.was_written());
        let wait = match (failure.verdict, policy.upgrade) {
            (Verdict::Upgrading, Some(upgrade)) => {
                budget = upgrade.budget;
                (elapsed() + upgrade.every <= upgrade.until).then_some(upgrade.every)
            }
            _ if retries >= policy.retries || is_last_chance || policy.once && failure.was_written() => None,
            _ => {
                retries += 1;
                // A server that names no time, or none worth the name, is not asked again at once.
                let own = policy.wait(retries, platform.random().as_ref());
                Some(failure.retry_after.map_or(own, |wait| wait.max(policy.base)))
            }
        };
        match wait.filter(|&wait| elapsed().saturating_add(wait) < budget) {
            Some(wait) => {
                last = Some(failure);
                clock.sleep(wait).await;
            }
            None => {
                let wait = failure.retry_after;
                return give_up(Some(gate).filter(|_| had_time), request, failure, wait, attempts, now);
            }
        }
    }
}

struct Failure {
    verdict: Verdict,
    retry_after: Option<Duration>,
    result: Result<Response, crate::http::TransportError>,
}

impl Failure {
    /// Whether the server may have seen the request.
    fn was_written(&self) -> bool {
        use TransportErrorKind::{Connect, ConnectTimeout, Dns};
        !self.result.as_ref().is_err_and(|error| matches!(error.kind(), Connect | ConnectTimeout | Dns))
    }
}

/// The gate is closed, if there is one.
fn give_up(
    gate: Option<&Gate>,
    request: &Request,
    failure: Failure,
    retry_after: Option<Duration>,
    attempts: u32,
    now: Moment,
) -> Result<Answer> {
    let now = now.monotonic;
    match failure.result {
        Ok(response) => {
            let status = response.status();
            if status == 429 || status >= 500 {
                let message =
                    format!("{} is in trouble: it answered HTTP {status} to an earlier request", request.origin());
                let error = Error::new(ErrorKind::Transport, message).with_http_status(status);
                let least = if status == 429 { TOO_MANY_REQUESTS_PAUSE } else { Duration::ZERO };
                if let Some(gate) = gate {
                    gate.close(now, error, retry_after.unwrap_or(least), retry_after.is_some());
                }
            }
            Ok(Answer { response, exhausted: true, retry_after, attempts })
        }
        Err(error) => {
            let error = Error::new(
                ErrorKind::Transport,
                format!(
                    "no answer from {}: {error} ({attempts} {})",
                    request.origin(),
                    if attempts == 1 { "attempt" } else { "attempts" }
                ),
            );
            if let Some(gate) = gate {
                gate.close(now, error.clone(), Duration::ZERO, false);
            }
            Err(error)
        }
    }
}

impl RetryPolicy {
    fn wait(&self, retry: u32, random: &dyn Random) -> Duration {
        let full = self.base.saturating_mul(1 << retry.saturating_sub(1).min(16)).min(self.cap);
        if self.jitter { jitter(random, full) } else { full }
    }
}

/// A duration drawn evenly between zero and `limit`.
pub fn jitter(random: &dyn Random, limit: Duration) -> Duration {
    let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    // The upper half of the product of two 64-bit numbers: scales without a division or a float.
    Duration::from_nanos(((u128::from(random.next()) * u128::from(nanos)) >> 64) as u64)
}

/// How long an answer asks to wait: `Retry-After` in seconds or as a date (read against the answer's own `Date`), else
/// the millisecond headers of Azure. Nonsense and negative times count as absent, long ones are cut to one hour.
fn retry_after(response: &Response, now: Moment) -> Option<Duration> {
    let seconds = |text: &str| {
        // A part of a second counts as a whole one.
        let part = i64::from(text.bytes().any(|b| b == b'.'));
        parse_seconds(text).map(|seconds| seconds.saturating_add(part)).or_else(|| {
            let date = response.header("date").and_then(parse_http_date).or_else(|| unix_seconds(now.wall))?;
            Some(parse_http_date(text)?.saturating_sub(date).max(0))
        })
    };
    let from_millis = |name| response.header(name).and_then(parse_seconds).map(|millis| (millis, 1));
    let (count, unit) = (response.header("retry-after").and_then(seconds).map(|seconds| (seconds, 1000)))
        .or_else(|| from_millis("retry-after-ms"))
        .or_else(|| from_millis("x-ms-retry-after-ms"))?;
    Some(Duration::from_millis(u64::try_from(count).ok()?.saturating_mul(unit)).min(RETRY_AFTER_LIMIT))
}

fn redirect(request: &Request, response: &Response) -> Error {
    let target = response.header("location").unwrap_or("");
    let host = if crate::text::find(target, "://").is_some() { crate::http::origin(target) } else { "the same host" };
    let host = crate::redact::brief(host, &[]);
    Error::new(
        ErrorKind::Protocol,
        format!(
            "{} answered HTTP {} with a redirect to {host}; token requests follow none",
            request.origin(),
            response.status()
        ),
    )
    .with_http_status(response.status())
}

/// How long others wait after a 429 that names no time.
///
/// Source: msal 1.39.0, which replays such an answer for 5 s to confidential clients.
const TOO_MANY_REQUESTS_PAUSE: Duration = Duration::from_secs(5);

/// Source: msal 1.39.0, `throttled_http_client.py`, which caps it the same.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
