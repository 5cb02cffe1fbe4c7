//! Makes text of servers, files and tools fit to be shown: without secrets, without control characters, and short.

use std::{fmt::Write as _, path::Path};

use zeroize::Zeroizing;

use crate::text;

/// The most that is shown of an answer's body, in bytes, before escaping.
///
/// Source: our choice.
pub const EXCERPT_LIMIT: usize = 1024;

/// The most that is shown of a header or an id, in bytes, before escaping.
///
/// Source: our choice; an id has 36 characters, a content type rarely more than 60.
pub const BRIEF_LIMIT: usize = 128;

/// The longest path that is shown, in characters.
///
/// Source: our choice; a key in base64 has more, and paths have a tenth of it.
const PATH_LIMIT: usize = 512;

/// Shows the beginning of `body`: the given secrets and everything that looks like a signed token are replaced by
/// `***`, control and bidirectional characters are escaped, and the rest is cut at [`EXCERPT_LIMIT`].
///
/// Secrets of fewer than four bytes are not looked for: replacing them would destroy the text and hide nothing.
#[must_use]
pub fn excerpt(body: &[u8], secrets: &[&str]) -> String {
    show(body, secrets, EXCERPT_LIMIT)
}

/// The same for a header or an id, of which no more than [`BRIEF_LIMIT`] is shown.
#[must_use]
pub fn brief(text: &str, secrets: &[&str]) -> String {
    show(text.as_bytes(), secrets, BRIEF_LIMIT)
}

/// Replaces the given secrets by `***`, however they are encoded in a URL, a form or JSON, and leaves all else as it is: for
/// text that is changed before [`excerpt`] sees it.
///
/// As there, secrets of fewer than four bytes are not looked for.
#[must_use]
pub fn hide(text: &str, secrets: &[&str]) -> String {
    let mut clean = Zeroizing::new(text.to_owned());
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        clean = Zeroizing::new(mask(&clean, secret));
    }
    std::mem::take(&mut *clean)
}

/// The name of a file, unless it is none: who puts a key or token into a variable for a path shall not find it in a log.
#[must_use]
pub fn path(path: &Path) -> String {
    let shown = path.display().to_string();
    let count = shown.chars().count();
    if count > PATH_LIMIT || shown.contains("-----BEGIN") || shown.contains(['\n', '\r']) {
        return format!("(what is no path, of {count} characters)");
    }
    shown
}

fn show(body: &[u8], secrets: &[&str], limit: usize) -> String {
    // Much more than is shown, so that a secret across the cut is still found whole.
    let head = body.get(..body.len().min(SCAN_LIMIT)).unwrap_or(body);
    let clean = Zeroizing::new(String::from_utf8_lossy(head).into_owned());
    let clean = mask_tokens(&Zeroizing::new(hide(&clean, secrets)));
    let mut shown = String::new();
    for c in clean.trim().chars() {
        if shown.len() >= limit {
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
    while let Some(c) = rest.chars().next() {
        let len = match length(rest.as_bytes(), secret.as_bytes()) {
            0 => c.len_utf8(),
            hidden => {
                out.push_str(MASK);
                rest = rest.get(hidden..).unwrap_or_default();
                continue;
            }
        };
        let (kept, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
        out.push_str(kept);
        rest = after;
    }
    out
}

/// How much of the beginning of `text` is `secret`, however it is encoded there: each character as it is, in a URL or
/// form, or in JSON. Where the text ends within it, four characters are enough.
fn length(text: &[u8], secret: &[u8]) -> usize {
    let mut rest = text;
    for (at, byte) in secret.iter().enumerate() {
        rest = match rest {
            [first, rest @ ..] if first == byte => rest,
            [b'+', rest @ ..] if *byte == b' ' => rest,
            [b'%', high, low, rest @ ..] if hex(&[*high, *low]) == Some(u32::from(*byte)) => rest,
            [b'\\', b'u', a, b, c, d, rest @ ..] if hex(&[*a, *b, *c, *d]) == Some(u32::from(*byte)) => rest,
            [b'\\', first, rest @ ..] if first == byte => rest,
            // Cut, perhaps within an escape.
            [] | [b'%'] | [b'%', _] | [b'\\', ..] if at >= 4 && rest.len() < 6 => return text.len(),
            _ => return 0,
        };
    }
    text.len() - rest.len()
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
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
    fn a_key_in_the_place_of_a_path_is_not_shown() {
        for odd in ["-----BEGIN PRIVATE KEY----- canary", "/a\ncanary", &"canary/".repeat(100)] {
            let shown = path(Path::new(odd));
            assert!(!shown.contains("canary") && shown.contains(&odd.chars().count().to_string()), "{shown}");
        }
        for usual in ["/etc/app/identity.pem", r"C:\Users\ada\a b.pfx", "~/.azure", "é.pem"] {
            assert_eq!(path(Path::new(usual)), usual);
        }
    }

    #[test]
    fn secrets_and_tokens_are_masked_wherever_they_stand() {
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
        let secret = "P@ss/Wo rd~é";
        let forms = [
            secret,
            "P%40ss%2FWo%20rd~%C3%A9",
            "P%40ss%2fWo+rd%7E%c3%a9",
            "%50%40%73%73%2f%57%6f%20%72%64%7e%c3%a9",
            "P@ss\\/Wo rd~é",
            "P\\u0040ss\\u002FWo\\u0020rd\\u007eé",
        ];
        let body = format!("key={} P@ss/Wor {jwt}x\" {jwt}", forms.join("&"));
        assert_eq!(excerpt(body.as_bytes(), &[secret]), "key=***&***&***&***&***&*** P@ss/Wor ***\" ***");
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
    fn a_text_that_is_cut_within_a_secret_does_not_end_with_its_beginning() {
        for end in ["p@ss/", "p%40ss%", "p%40ss%2", "p@ss\\", "p@ss\\u00", "p@ss"] {
            assert_eq!(excerpt(["it was ", end].concat().as_bytes(), &["p@ss/word"]), "it was ***", "{end}");
        }
        assert_eq!(excerpt(b"it was p@s", &["p@ss/word"]), "it was p@s");
    }

    #[test]
    fn long_text_is_cut_and_controls_are_escaped() {
        let shown = excerpt(&vec![b'x'; 50_000_000], &[]);
        assert_eq!(shown.len(), EXCERPT_LIMIT + 3);
        assert_eq!(brief(&"x".repeat(3_000), &[]).len(), BRIEF_LIMIT + 3);
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
