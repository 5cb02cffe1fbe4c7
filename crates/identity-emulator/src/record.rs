//! What the clients asked.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::source::Source;
use crate::text::{decode_form, is_guid};

/// One request as it arrived, secrets included: this is a tool for tests.
#[derive(Clone)]
pub struct Request {
    pub(crate) source: Source,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) raw_query: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) time: SystemTime,
    pub(crate) since_start: Duration,
    pub(crate) status: Option<u16>,
    /// What Entra calls the request in its answer.
    pub(crate) trace_id: String,
}

impl Request {
    /// The source whose listener got it.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// The method, such as `GET`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path as it was sent, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query as it was sent, without the question mark; empty if there was none.
    #[must_use]
    pub fn raw_query(&self) -> &str {
        &self.raw_query
    }

    /// The query's names and values, decoded, in order; empty if it cannot be decoded.
    #[must_use]
    pub fn query(&self) -> &[(String, String)] {
        &self.query
    }

    /// The first value of that query parameter.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<&str> {
        first(&self.query, |other| other == name)
    }

    /// The headers, names in lower case, in order within a name; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The first value of that header; case makes no difference.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, |other| other.eq_ignore_ascii_case(name))
    }

    /// The first value of that form parameter in the body.
    #[must_use]
    pub fn form_value(&self, name: &str) -> Option<String> {
        self.form().into_iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// What Entra calls the request: `x-ms-request-id` of its answer, and the trace id in its errors.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// What a client calls the request, if it is a GUID, or what Entra calls it.
    pub(crate) fn correlation_id(&self) -> &str {
        self.header("client-request-id").filter(|id| is_guid(id)).unwrap_or(&self.trace_id)
    }

    /// The body, at most 64 KiB: a longer one is refused and recorded as empty.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The names and values of a form in the body; empty if it is none.
    #[must_use]
    pub fn form(&self) -> Vec<(String, String)> {
        std::str::from_utf8(&self.body).ok().and_then(decode_form).unwrap_or_default()
    }

    /// When it arrived, by the wall clock.
    #[must_use]
    pub const fn time(&self) -> SystemTime {
        self.time
    }

    /// When it arrived, by the monotonic clock, counted from the start of the emulator.
    #[must_use]
    pub const fn since_start(&self) -> Duration {
        self.since_start
    }

    /// The status of the answer; `None` while there is none, and for [raw](crate::Answer::raw) answers.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        self.status
    }
}

/// Prints the names of headers, not their values, which can be secret, and no body.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("source", &self.source)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("headers", &names)
            .field("body_len", &self.body.len())
            .field("since_start", &self.since_start)
            .field("status", &self.status)
            .finish()
    }
}

fn first(pairs: &[(String, String)], is_it: impl Fn(&str) -> bool) -> Option<&str> {
    pairs.iter().find(|(name, _)| is_it(name)).map(|(_, value)| value.as_str())
}

/// The newest requests. Old ones go when they take too much memory; counts stay exact.
#[derive(Default)]
pub(crate) struct Log {
    kept: VecDeque<Request>,
    /// How many requests came before the first kept one since the last `clear`.
    dropped: u64,
    bytes: usize,
    counts: [u64; Source::ALL.len()],
    /// How many times the log was cleared: a ticket of an earlier time is void.
    cleared: u64,
}

/// Finds a request in the log again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    cleared: u64,
    number: u64,
}

impl Log {
    pub(crate) fn push(&mut self, request: Request) -> Ticket {
        let ticket = Ticket { cleared: self.cleared, number: self.dropped + self.kept.len() as u64 };
        if let Some(count) = self.counts.get_mut(request.source.row()) {
            *count += 1;
        }
        self.bytes += weight(&request);
        self.kept.push_back(request);
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= weight(&oldest);
            self.dropped += 1;
        }
        ticket
    }

    pub(crate) fn answered(&mut self, ticket: Ticket, status: u16) {
        if ticket.cleared != self.cleared {
            return;
        }
        let place = ticket.number.checked_sub(self.dropped).and_then(|n| usize::try_from(n).ok());
        if let Some(request) = place.and_then(|place| self.kept.get_mut(place)) {
            request.status = Some(status);
        }
    }

    pub(crate) fn all(&self) -> Vec<Request> {
        self.kept.iter().cloned().collect()
    }

    pub(crate) fn count(&self, source: Option<Source>) -> u64 {
        match source {
            Some(source) => self.counts.get(source.row()).copied().unwrap_or_default(),
            None => self.counts.iter().sum(),
        }
    }

    pub(crate) fn clear(&mut self) {
        let cleared = self.cleared + 1;
        *self = Self { cleared, ..Self::default() };
    }
}

/// Roughly how many bytes of memory a request takes.
fn weight(request: &Request) -> usize {
    let pairs = request.query.iter().chain(&request.headers);
    let text: usize = pairs.map(|(name, value)| name.len() + value.len() + 64).sum();
    512 + request.path.len() + request.raw_query.len() + request.body.len() + text
}

/// How much memory the kept requests may take, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: usize) -> Request {
        Request {
            source: Source::Imds,
            method: "GET".to_owned(),
            path: "/".to_owned(),
            raw_query: String::new(),
            query: Vec::new(),
            headers: vec![("secret".to_owned(), "hush".to_owned())],
            body: vec![b'x'; body],
            time: SystemTime::UNIX_EPOCH,
            since_start: Duration::ZERO,
            status: None,
            trace_id: String::new(),
        }
    }

    #[test]
    fn old_requests_go_and_counts_stay() {
        let mut log = Log::default();
        let first = log.push(request(MAX_BYTES / 2));
        let second = log.push(request(MAX_BYTES / 2));
        log.answered(first, 200);
        log.answered(second, 404);
        let kept = log.all();
        assert_eq!(kept.iter().map(Request::status).collect::<Vec<_>>(), [Some(404)]);
        assert_eq!((log.count(None), log.count(Some(Source::AzureMl))), (2, 0));
        log.clear();
        log.push(request(0));
        log.answered(second, 500);
        assert_eq!(log.all().iter().map(Request::status).collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn debug_shows_no_header_value() {
        assert!(!format!("{:?}", request(0)).contains("hush"));
    }
}
