//! Makes text of servers, files and tools fit to be shown: without secrets, without control characters, and short.

use std::fmt::Write as _;

use crate::text;

/// The most that is shown of an answer's body, in bytes, before escaping.
///
/// Source: our choice.
pub const EXCERPT_LIMIT: usize = 1024;

/// Shows the beginning of `body`: the given secrets and everything that looks like a signed token are replaced by
/// `***`, control and bidirectional characters are escaped, and the rest is cut at [`EXCERPT_LIMIT`].
///
/// Secrets of fewer than four bytes are not looked for: replacing them would destroy the text and hide nothing.
#[must_use]
pub fn excerpt(body: &[u8], secrets: &[&str]) -> String {
    // Much more than is shown, so that a secret across the cut is still found whole.
    let head = body.get(..body.len().min(SCAN_LIMIT)).unwrap_or(body);
    let mut clean = String::from_utf8_lossy(head).into_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        let encoded = text::percent_encode(secret);
        // As it is, in a URL, in a URL by a server of other habits, and in JSON by one that escapes slashes.
        for form in [(*secret).to_owned(), encoded.to_ascii_lowercase(), encoded, secret.replace('/', "\\/")] {
            clean = mask(&clean, &form);
        }
    }
    let clean = mask_tokens(&clean);
    let mut shown = String::new();
    for c in clean.trim().chars() {
        if shown.len() >= EXCERPT_LIMIT {
            shown.push_str("...");
            break;
        }
        if is_dangerous(c) {
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether a character can steer a terminal or reorder what a reader sees.
pub(crate) fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Replaces `secret` wherever it stands, and the beginning of it where the text was cut.
fn mask(body: &str, secret: &str) -> String {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((before, after)) =
        text::find(rest, secret).and_then(|at| Some((rest.get(..at)?, rest.get(at + secret.len()..)?)))
    {
        out.push_str(before);
        out.push_str(MASK);
        rest = after;
    }
    let mut beginnings = (4..secret.len()).rev().filter_map(|len| secret.get(..len));
    match beginnings.find_map(|beginning| rest.strip_suffix(beginning)) {
        Some(before) => {
            out.push_str(before);
            out.push_str(MASK);
        }
        None => out.push_str(rest),
    }
    out
}

/// Replaces runs that look like a JSON Web Token or its beginning: `eyJ` and at least 16 more base64url characters.
fn mask_tokens(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((before, from)) = text::find(rest, "eyJ").and_then(|start| rest.split_at_checked(start)) {
        let len =
            from.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=')).count();
        let (run, after) = from.split_at_checked(len).unwrap_or((from, ""));
        out.push_str(before);
        out.push_str(if len >= 19 { MASK } else { run });
        rest = after;
    }
    out.push_str(rest);
    out
}

const MASK: &str = "***";
const SCAN_LIMIT: usize = 16 * EXCERPT_LIMIT;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_tokens_are_masked_wherever_they_stand() {
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
        let body = format!("key=p%40ss%2Fword p%40ss%2fword p@ss\\/word p@ss/word {jwt}x\" {jwt}");
        let shown = excerpt(body.as_bytes(), &["p@ss/word"]);
        assert_eq!(shown, "key=*** *** *** *** ***\" ***");
    }

    #[test]
    fn a_secret_across_the_cut_is_not_shown_in_part() {
        let secret = "S".repeat(64);
        let body = format!("{}{secret}", "a".repeat(EXCERPT_LIMIT - 10));
        assert!(!excerpt(body.as_bytes(), &[&secret]).contains("SS"));
        // Cut by us, or before it came here, and moved into view by what goes away before it.
        for spaces in [SCAN_LIMIT - 40, 7] {
            let mut body = format!("{}{secret}", " ".repeat(spaces));
            body.truncate(spaces + 40);
            assert_eq!(excerpt(body.as_bytes(), &[&secret]), MASK);
        }
    }

    #[test]
    fn long_text_is_cut_and_controls_are_escaped() {
        let shown = excerpt(&vec![b'x'; 50_000_000], &[]);
        assert_eq!(shown.len(), EXCERPT_LIMIT + 3);
        assert_eq!(
            excerpt("\u{1b}]0;x\u{7}\r\n\u{202e}ok\0".as_bytes(), &[]),
            "\\u{1b}]0;x\\u{7}\\u{d}\\u{a}\\u{202e}ok\\u{0}"
        );
    }

    #[test]
    fn invalid_utf8_is_shown_as_replacement_characters() {
        assert_eq!(excerpt(b"a\xff\xfeb", &[]), "a\u{fffd}\u{fffd}b");
    }
}
