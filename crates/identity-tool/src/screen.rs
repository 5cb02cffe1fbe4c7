//! What reaches a terminal: escaped text, and colour where it is welcome.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
};

/// Writes to standard output, all of it.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes to standard error. Whether anybody sees it does not matter: the exit code says the same.
pub(crate) fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Makes visible what could steer a terminal or change the order in which text is read.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_dangerous(c) {
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// The same for the text of a JSON document, which has these characters in strings only: it stays the same document.
pub(crate) fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_dangerous(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A word of a command line, for a POSIX shell: in quotes where it needs them.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Colour, or none of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    pub(crate) const NONE: Self = Self(false);
    #[cfg(test)]
    pub(crate) const ALWAYS: Self = Self(true);

    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self(io::stdout().is_terminal() && is_welcome())
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self(io::stderr().is_terminal() && is_welcome())
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("1;32", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Source: <https://no-color.org>: any text in the variable, but not an empty one, turns colour off.
fn is_welcome() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && env::var_os("TERM").is_none_or(|value| value != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        assert_eq!(
            escape("a\u{1b}[31m\u{9b}\u{202e}\u{2066}\u{e0041}b\n\u{7f}"),
            "a\\u{1b}[31m\\u{9b}\\u{202e}\\u{2066}\\u{e0041}b\\u{a}\\u{7f}"
        );
        assert_eq!(escape("Zürich 東京 🚀"), "Zürich 東京 🚀");
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_would_read_more_into_it() {
        assert_eq!(word("https://vault.azure.net/.default"), "https://vault.azure.net/.default");
        assert_eq!(
            (word("a b$(x)").as_str(), word("it's").as_str(), word("").as_str()),
            ("'a b$(x)'", r"'it'\''s'", "''")
        );
    }

    #[test]
    fn escaped_json_is_the_same_document() {
        let value = serde_json::json!({ "k\u{202e}": "a\u{9b}\u{e0041}\u{1b}\"\\ü" });
        let escaped = escape_json(&value.to_string());
        assert!(!escaped.chars().any(is_dangerous));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }
}
