//! As much of HTTP/1.1 as the measured programs speak.

use std::io::{BufRead, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Everything up to the empty line.
pub(super) struct Head(pub(super) String);

impl Head {
    /// None at the end of the connection.
    pub(super) fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut head = String::new();
        loop {
            let before = head.len();
            if reader.read_line(&mut head).ok()? == 0 || head.len() > MAX_HEAD {
                return None;
            }
            if head.get(before..) == Some("\r\n") {
                return Some(Self(head));
            }
        }
    }

    pub(super) fn first_line(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    /// What is asked for; none if it is asked for by another method.
    pub(super) fn target(&self, method: &str) -> Option<&str> {
        self.first_line().strip_prefix(method)?.strip_prefix(' ')?.strip_suffix(" HTTP/1.1")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// What follows the head; empty where no length is given. None if it does not come, or is too long.
    pub(super) fn body(&self, reader: &mut impl BufRead) -> Option<Vec<u8>> {
        let length = self.header("content-length").map_or(Some(0), |length| length.parse().ok())?;
        if length > MAX_HEAD {
            return None;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(body)
    }
}

pub(super) fn response(code: u16, body: &str) -> Vec<u8> {
    let date = http_date(since_epoch().as_secs());
    let length = body.len();
    format!(
        "HTTP/1.1 {code} Scripted\r\nContent-Type: application/json; charset=utf-8\r\nDate: {date}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A 200 whose token never ends: this many bytes, in chunks.
pub(super) fn flood(writer: &mut impl Write, bytes: u64) -> Option<()> {
    let chunk = [b'a'; 1 << 16];
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    writer.write_all(head.as_bytes()).ok()?;
    writer.write_all(b"11\r\n{\"access_token\":\"\r\n").ok()?;
    for _ in 0..bytes / (1 << 16) {
        writer.write_all(b"10000\r\n").ok()?;
        writer.write_all(&chunk).ok()?;
        writer.write_all(b"\r\n").ok()?;
    }
    writer.write_all(b"2\r\n\"}\r\n0\r\n\r\n").ok()
}

/// When a token that lives this long ends, seconds since the Unix epoch.
pub(super) fn expires_at(lives: Duration) -> u64 {
    since_epoch().saturating_add(lives).as_secs()
}

pub(super) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Seconds since the Unix epoch as RFC 9110 writes a date.
fn http_date(seconds: u64) -> String {
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"].into_iter().cycle().nth((days % 7) as usize);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut month = "";
    for (name, length) in names.into_iter().zip(lengths) {
        month = name;
        if days < length {
            break;
        }
        days -= length;
    }
    let weekday = weekday.unwrap_or_default();
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{weekday}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT", days + 1)
}

const MAX_HEAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(http_date(1_798_761_599), "Thu, 31 Dec 2026 23:59:59 GMT");
    }
}
