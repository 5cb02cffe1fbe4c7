//! What a tool says, made fit to be looked through and to be shown.

use identity_core::redact;

/// The text of an output: without the escapes that colour it, and with line feeds only.
pub(crate) fn text(bytes: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(bytes);
    let mut clean = String::with_capacity(lossy.len());
    let mut rest = lossy.trim_start_matches('\u{feff}').chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            '\r' | '\0' => {}
            _ => clean.push(c),
        }
    }
    clean
}

/// Passes what follows an escape character. Source: ECMA-48, sections 5.3 to 5.6.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        // Parameters, and a final byte.
        Some('[') => drop(rest.find(|c| matches!(c, '\u{40}'..='\u{7e}'))),
        // A command to the terminal: to the bell, or to the string terminator, whose second byte is passed here, too.
        Some(']') if rest.find(|c| matches!(c, '\u{7}' | '\u{1b}')) == Some('\u{1b}') => drop(rest.next()),
        _ => {}
    }
}

/// The object that a program printed, without what comes before and behind it: it may warn before it answers.
pub(crate) fn object(output: &str) -> Option<&str> {
    let end = output.rfind('}')?;
    let mut start = 0;
    for line in output.split_inclusive('\n') {
        // What was printed without a line feed stands in front of its first brace.
        let brace = line
            .find('{')
            .filter(|at| *at == 0 || line.trim_start().starts_with('{') || line.trim_end().ends_with('{'));
        if let Some(at) = brace {
            return output.get(start + at..=end);
        }
        start += line.len();
        if start > NOISE_LIMIT {
            break;
        }
    }
    None
}

/// What is shown of a text: its beginning, on one line and without secrets. Those are `hidden`, the values of what is called a
/// token, secret, password or key, and whatever else is long and without a blank, as refresh tokens are.
pub(crate) fn shown(text: &str, hidden: &[&str]) -> String {
    let head = text.trim_start().as_bytes();
    let head = String::from_utf8_lossy(head.get(..SCAN_LIMIT).unwrap_or(head));
    // A secret may have blanks and runs, which are changed below, and blanks may have been changed before.
    let hidden_words: Vec<String> = hidden.iter().map(|secret| words(secret)).collect();
    let hidden_words: Vec<&str> = hidden_words.iter().map(String::as_str).collect();
    let text = redact::hide(&words(&redact::hide(&head, hidden)), &hidden_words);
    redact::excerpt(mask_runs(&mask_values(&mask_lines(&text))).as_bytes(), &[])
}

/// The words of a text, on one line.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The end of a sentence about what was printed.
pub(crate) fn printed(stdout: &str, hidden: &[&str]) -> String {
    let shown = shown(stdout, hidden);
    if shown.is_empty() { "; it printed nothing".to_owned() } else { format!("; it printed: {shown}") }
}

/// Replaces the token of the line that the script for PowerShell prints.
fn mask_lines(text: &str) -> String {
    let mut parts = text.split(LINE);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c == '%' || c.is_whitespace()).unwrap_or(part.len());
        clean.extend([LINE, MASK, part.get(end..).unwrap_or_default()]);
    }
    clean
}

/// Replaces what follows a name of a secret and a colon or equals sign, however it is quoted, also where the end of the text
/// cuts it.
fn mask_values(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find([':', '=']) {
        let (name, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let (sign, after) = after.split_at_checked(1).unwrap_or((after, ""));
        clean.extend([name, sign]);
        rest = after;
        if !names_a_secret(name) {
            continue;
        }
        let value = after.trim_start_matches([' ', '[', '"', '\'', '\\']);
        let opening = after.get(..after.len() - value.len()).unwrap_or_default();
        let len = value_len(opening, value);
        // A word of a sentence is shorter.
        if len > 0 && (opening.ends_with(['"', '\'']) || len >= 8) {
            clean.extend([opening, MASK]);
            rest = value.get(len..).unwrap_or_default();
        }
    }
    clean.push_str(rest);
    clean
}

/// Whether the last word is a name of something that must not be shown.
fn names_a_secret(text: &str) -> bool {
    let word = text.trim_end_matches([' ', '"', '\'', '\\']).to_ascii_lowercase();
    ["token", "secret", "password", "key"].iter().any(|name| word.ends_with(name))
}

/// How long a value is that was opened like this: to the quote that closes it, else to the next blank or sign.
fn value_len(opening: &str, value: &str) -> usize {
    let is_escaped_quote = opening.ends_with("\\\"") || opening.ends_with("\\'");
    let quote = opening.bytes().next_back().filter(|b| matches!(b, b'"' | b'\'') && !is_escaped_quote);
    let mut is_escaped = false;
    let end = value.bytes().position(|byte| match quote {
        Some(quote) => {
            let is_end = byte == quote && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_end
        }
        None if is_escaped_quote => byte == b'\\',
        None => byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'&' | b'"' | b'\'' | b'}' | b']' | b'\\'),
    });
    end.unwrap_or(value.len())
}

/// Replaces runs that are too long for a word, an id or a name.
fn mask_runs(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '+' | '=' | '/');
    let mut clean = String::with_capacity(text.len());
    for part in text.split_inclusive(|c| !is_word(c)) {
        let word = part.trim_end_matches(|c| !is_word(c));
        // Paths and URLs start with a slash here, and each of their parts is a word.
        if word.starts_with('/') {
            let parts: Vec<&str> = word.split('/').map(|part| if is_long(part) { MASK } else { part }).collect();
            clean.push_str(&parts.join("/"));
        } else {
            clean.push_str(if is_long(word) { MASK } else { word });
        }
        clean.push_str(part.get(word.len()..).unwrap_or_default());
    }
    clean
}

/// Whether a run is longer than any name, and no ruler.
fn is_long(word: &str) -> bool {
    word.len() >= LONG && word.bytes().any(|b| b.is_ascii_alphanumeric())
}

/// What the line with a token starts with that the script for PowerShell prints.
pub(crate) const LINE: &str = "azsdk%";
const MASK: &str = "***";
/// Much more than is shown, in bytes.
const SCAN_LIMIT: usize = 16 * 1024;
/// How many bytes may come before the object. Source: our choice.
const NOISE_LIMIT: usize = 4 * 1024;
/// A client secret has 40 characters, an id 36, and the longest names of modules and classes are shorter than this.
const LONG: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_commands_to_the_terminal_go() {
        for (bytes, expected) in [
            (&b"\x1b[91mERROR: no\x1b[0m\r\n"[..], "ERROR: no\n"),
            (b"\xef\xbb\xbf{}", "{}"),
            (b"\x1b]0;title\x07a\x1b]8;;x\x1b\\b", "ab"),
            (b"\x1b[38;5;1ma\x1bMb\x1b", "ab"),
            (b"\x1b[", ""),
            (b"a\0b\xff", "ab\u{fffd}"),
        ] {
            assert_eq!(text(bytes), expected);
        }
    }

    #[test]
    fn an_object_is_found_among_lines_of_noise() {
        let long = format!("{}\n{{}}", "x\n".repeat(NOISE_LIMIT));
        for (output, expected) in [
            ("{\"a\":1}", Some("{\"a\":1}")),
            ("WARNING: x {y}\n\n  {\n \"a\": {}\n}\n\nbye", Some("{\n \"a\": {}\n}")),
            ("no line feed.{\n \"a\": 1}", Some("{\n \"a\": 1}")),
            ("warning {}", None),
            ("", None),
            ("{ cut", None),
            (&long, None),
        ] {
            assert_eq!(object(output), expected, "{output:.40}");
        }
    }

    #[test]
    fn no_token_is_shown_in_whatever_form() {
        let opaque = "0.AXoA-b_c".repeat(20);
        let long = format!("{}!tail", "0123456789".repeat(7));
        for said in [
            r#"{"accessToken": "canary", "expires_on": 1}"#.to_owned(),
            r#"{"accessToken":"can\"ary"#.to_owned(),
            r#"{"token" : "canary"}"#.to_owned(),
            r#"{'refreshToken': 'canary'} "refresh_token":"canary""#.replace("'canary'", "'x'"),
            format!("got {opaque} and \"{opaque}\""),
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.canary".to_owned(),
            "the secret is s3cr".to_owned(),
            "accessToken: canary-canary, more".to_owned(),
            "{'accessToken': 'canary'}".to_owned(),
            r#"{\"accessToken\": \"canary\"}"#.to_owned(),
            r#"{"accessToken": ["canary"]}"#.to_owned(),
            r#"{"clientSecret": "canary"} PASSWORD=canary-canary"#.to_owned(),
            "azsdk%canary%x".to_owned(),
            "azsdk%canary".to_owned(),
            format!("EwB4{}/canary+", "aB3/xY9+".repeat(20)),
            "the secret is two  words".to_owned(),
            "the secret is two words".to_owned(),
            format!("the secret is {long}"),
        ] {
            let shown = shown(&said, &["s3cr", "two  words", &long]);
            assert!(!shown.contains("canary") && !shown.contains("0.AX") && !shown.contains("s3cr"), "{shown}");
            assert!(!shown.contains("two") && !shown.contains("tail"), "{shown}");
            assert!(shown.contains("***"), "{shown}");
        }
    }

    #[test]
    fn what_is_no_token_stays() {
        let said =
            "ERROR: AADSTS50076: no. Trace ID: 11111111-1111-4111-8111-111111111111 https://a.example/b?c=\"token\": 5";
        assert_eq!(shown(said, &[]), said);
    }
}
