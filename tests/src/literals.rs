//! The texts in Rust code, without a parser.

/// What the string literals of `source` say, in their order. Comments, characters and lifetimes are passed over; of escapes
/// those are understood that messages have.
#[must_use]
pub fn literals(source: &str) -> Vec<String> {
    let (mut found, mut rest, mut before) = (Vec::new(), source, ' ');
    while let Some(c) = rest.chars().next() {
        let is_word = before.is_alphanumeric() || before == '_';
        let (text, length) = if rest.starts_with("//") {
            (None, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (None, rest.find("*/").map_or(rest.len(), |end| end + 2))
        } else if c == '"' {
            let (text, length) = plain(rest);
            (Some(text), length)
        } else if let Some((text, length)) = raw(rest).filter(|_| !is_word) {
            (Some(text), length)
        } else if c == '\'' {
            (None, character(rest))
        } else {
            (None, c.len_utf8())
        };
        found.extend(text);
        before = c;
        rest = rest.get(length..).unwrap_or_default();
    }
    found
}

/// What a literal in quotes says, and its length.
fn plain(source: &str) -> (String, usize) {
    let mut text = String::new();
    let mut chars = source.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, at + 1),
            '\\' => match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some('0') => text.push('\0'),
                // The line goes on below.
                Some('\n') => while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                Some(c) => text.push(c),
                None => {}
            },
            c => text.push(c),
        }
    }
    (text, source.len())
}

/// What a raw literal says, and its length.
fn raw(source: &str) -> Option<(String, usize)> {
    let marked = source.strip_prefix("br").or_else(|| source.strip_prefix('r'))?;
    let hashes = marked.find(|c| c != '#')?;
    let inner = marked.get(hashes..)?.strip_prefix('"')?;
    let end = ["\"", marked.get(..hashes)?].concat();
    let text = inner.split_once(&end)?.0;
    Some((text.to_owned(), source.len() - inner.len() + text.len() + end.len()))
}

/// The length of a character in quotes, or of the quote before a lifetime.
fn character(source: &str) -> usize {
    let mut chars = source.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => chars.find(|(_, c)| *c == '\'').map_or(source.len(), |(at, _)| at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_and_what_only_looks_like_one_is_not() {
        for (source, expected) in [
            (r#"f("a", "b\"c\\", b"d")"#, &["a", "b\"c\\", "d"][..]),
            ("\"one \\\n     two\" \"\\n\"", &["one two", "\n"]),
            ("r\"a\\\" r#\"b\"c\"# br\"d\"", &["a\\", "b\"c", "d"]),
            ("// \"no\"\n\"yes\" /* \"no\" */ /// \"no\"", &["yes"]),
            (r#"'"' 'a' '\'' '\u{22}' b'"' &'a "yes" <'b>"#, &["yes"]),
            ("for\"x\"", &["x"]),
            ("\"never ended", &["never ended"]),
            ("'\"', 'é', \"é\"", &["é"]),
            ("", &[]),
        ] {
            assert_eq!(literals(source), expected, "{source}");
        }
    }
}
