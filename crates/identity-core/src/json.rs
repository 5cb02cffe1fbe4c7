//! Just enough JSON for flat answers: how deep it nests, and the members of one object.
//!
//! Written by hand because a general parser and what it brings weigh 30 KB, a twentieth of the smallest program. It is
//! strict (RFC 8259), does not recurse, and is tested against a general parser.

use crate::bytes::plain_in_string;

/// The deepest nesting that is accepted, arrays and objects together.
///
/// Source: our choice; answers of the token services nest three deep, claims about six.
pub const DEPTH_LIMIT: usize = 32;

/// Whether the text nests no deeper than [`DEPTH_LIMIT`]. One pass over the bytes, no recursion, no allocation; whether
/// it is JSON at all is left to the parser.
#[must_use]
pub fn is_shallow(text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => in_string = true,
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEPTH_LIMIT {
                return false;
            }
        }
    }
    true
}

/// Why a text is no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// It ends too early: more text could make it one.
    Cut,
    /// No text after it could make it one.
    Wrong,
    /// It nests deeper than [`DEPTH_LIMIT`].
    Deep,
}

/// Calls `each` with the name and the value of every member of the object that `text` is, both as they are written, the
/// name without its quotes. Nested values are checked as well, and handed over whole.
///
/// # Errors
///
/// [`Malformed`] if the text is anything but one object; members before the fault were handed over.
pub fn members<'a>(text: &'a [u8], each: &mut dyn FnMut(&'a str, &'a str)) -> Result<(), Malformed> {
    let mut reader = Reader { text: std::str::from_utf8(text).map_err(|_| Malformed::Wrong)?, at: 0 };
    reader.expect(b'{')?;
    if reader.peek()? == b'}' {
        reader.at += 1;
    } else {
        loop {
            let name = reader.name()?;
            let value = reader.value()?;
            each(name, value);
            match reader.next()? {
                b',' => {}
                b'}' => break,
                _ => return Err(Malformed::Wrong),
            }
        }
    }
    // Nothing but white space may follow.
    if reader.peek().is_err() { Ok(()) } else { Err(Malformed::Wrong) }
}

/// The text of a string as [`members`] hands it over, quotes included; `None` if it is none, or has half a surrogate pair.
#[must_use]
pub fn unescape(quoted: &str) -> Option<String> {
    let mut rest = quoted.strip_prefix('"')?.strip_suffix('"')?;
    // As large as the text can become, so that no part of a secret stays behind in a buffer that was too small.
    let mut text = String::with_capacity(rest.len());
    loop {
        let (plain, escape) = rest.split_at_checked(plain_in_string(rest.as_bytes()))?;
        text.push_str(plain);
        if escape.is_empty() {
            return Some(text);
        }
        let mut chars = escape.strip_prefix('\\')?.chars();
        text.push(match chars.next()? {
            c @ ('"' | '\\' | '/') => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let high = code_unit(&mut chars)?;
                if matches!(high, 0xd800..0xdc00) {
                    (chars.next()? == '\\' && chars.next()? == 'u').then_some(())?;
                    let low = code_unit(&mut chars)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low)?
                } else {
                    char::from_u32(high)?
                }
            }
            _ => return None,
        });
        rest = chars.as_str();
    }
}

fn code_unit(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit << 4 | chars.next()?.to_digit(16)?))
}

/// Goes over the text once.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next byte that is no white space, without passing it.
    fn peek(&mut self) -> Result<u8, Malformed> {
        while matches!(self.byte(), Ok(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.byte()
    }

    fn next(&mut self) -> Result<u8, Malformed> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.next()? == byte { Ok(()) } else { Err(Malformed::Wrong) }
    }

    fn byte(&self) -> Result<u8, Malformed> {
        self.text.as_bytes().get(self.at).copied().ok_or(Malformed::Cut)
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// A member's name and its colon.
    fn name(&mut self) -> Result<&'a str, Malformed> {
        self.expect(b'"')?;
        let start = self.at;
        self.string()?;
        let name = self.since(start);
        self.expect(b':')?;
        Ok(name.strip_suffix('"').unwrap_or(name))
    }

    /// A value, however it nests.
    fn value(&mut self) -> Result<&'a str, Malformed> {
        self.peek()?;
        let start = self.at;
        // Which brackets are open, the innermost lowest: 1 for an object, 0 for an array, above them all a 1.
        let mut open = 1u64;
        loop {
            let first = self.next()?;
            match first {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    // One level is the object itself.
                    if open >> (DEPTH_LIMIT - 1) != 0 {
                        return Err(Malformed::Deep);
                    }
                    open = open << 1 | u64::from(first == b'{');
                    match (first, self.peek()?) {
                        (b'{', b'}') | (b'[', b']') => {}
                        (b'{', _) => {
                            self.name()?;
                            continue;
                        }
                        _ => continue,
                    }
                }
                _ => {
                    self.at -= 1;
                    self.word()?;
                }
            }
            loop {
                if open == 1 {
                    return Ok(self.since(start));
                }
                match (self.next()?, open & 1) {
                    (b'}', 1) | (b']', 0) => open >>= 1,
                    (b',', 1) => {
                        self.name()?;
                        break;
                    }
                    (b',', 0) => break,
                    _ => return Err(Malformed::Wrong),
                }
            }
        }
    }

    /// The rest of a string, its last quote included.
    fn string(&mut self) -> Result<(), Malformed> {
        loop {
            // Nearly all of an answer is one string, the token: this is the loop that counts.
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += plain_in_string(rest);
            let byte = self.byte()?;
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' => {
                    let escape = self.byte()?;
                    self.at += 1;
                    match escape {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            for _ in 0..4 {
                                if !self.byte()?.is_ascii_hexdigit() {
                                    return Err(Malformed::Wrong);
                                }
                                self.at += 1;
                            }
                        }
                        _ => return Err(Malformed::Wrong),
                    }
                }
                _ => return Err(Malformed::Wrong),
            }
        }
    }

    /// A number, or one of the three words.
    fn word(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.byte(), Ok(b) if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
            self.at += 1;
        }
        // Inside an object something follows; whether the end of the text cut the word is not worth telling.
        self.byte()?;
        let word = self.since(start);
        if matches!(word, "true" | "false" | "null") || is_number(word) { Ok(()) } else { Err(Malformed::Wrong) }
    }
}

fn is_number(word: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = word.split_once(['e', 'E']).unwrap_or((word, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    is_digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && is_digits(fraction)
        && is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings_only() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_shallow(nested(DEPTH_LIMIT).as_bytes()));
        assert!(!is_shallow(nested(DEPTH_LIMIT + 1).as_bytes()));
        assert!(!is_shallow(format!(r#"{{"unknown":{}}}"#, nested(10_000)).as_bytes()));
        assert!(is_shallow(format!(r#"{{"text":"\"{}"}}"#, "[".repeat(10_000)).as_bytes()));
        assert!(is_shallow(b"}}}}]]]]{}"));
    }

    fn read(text: &str) -> Result<Vec<(&str, &str)>, Malformed> {
        let mut all = Vec::new();
        members(text.as_bytes(), &mut |name, value| all.push((name, value))).map(|()| all)
    }

    #[test]
    fn members_are_handed_over_as_they_are_written() {
        assert_eq!(
            read(" {\"a\" : \"x\\\"\\u0041\" ,\n\"b\":-1.5e+3,\"c\":{\"d\":[1,[],{}]},\"\":null}\t").unwrap(),
            [("a", "\"x\\\"\\u0041\""), ("b", "-1.5e+3"), ("c", "{\"d\":[1,[],{}]}"), ("", "null")]
        );
        assert_eq!(read("{}").unwrap(), []);
    }

    #[test]
    fn every_beginning_of_an_object_is_cut_and_nothing_else() {
        let whole = r#"{"a":"x\u00e9\n","b":[1.5,true,{"c":null}],"d":-1e9}"#;
        read(whole).unwrap();
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Err(Malformed::Cut), "{}", &whole[..end]);
        }
        for bad in [
            "x",
            "[]",
            "\"a\"",
            "{}x",
            "{}{}",
            "{,}",
            "{\"a\"}",
            "{\"a\":1,}",
            "{\"a\":[1,]}",
            "{\"a\":[}]",
            "{\"a\":01}",
        ] {
            assert_eq!(read(bad), Err(Malformed::Wrong), "{bad}");
        }
        assert_eq!(members(b"{\"a\":\"\xff\"}", &mut |_, _| {}), Err(Malformed::Wrong));
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        // The object itself is a level.
        assert!(read(&nested(DEPTH_LIMIT - 1)).is_ok());
        for depth in [DEPTH_LIMIT, 63, 64, 65, 100_000] {
            assert_eq!(read(&nested(depth)), Err(Malformed::Deep), "{depth}");
        }
    }

    #[test]
    fn escapes_become_characters() {
        for (quoted, expected) in [
            (r#""""#, Some("")),
            (r#""a\"\\\/\b\f\n\r\tz""#, Some("a\"\\/\u{8}\u{c}\n\r\tz")),
            (r#""\u0041\u00e9\uD83D\ude00é""#, Some("Aé😀é")),
            (r#""\ud83d""#, None),
            (r#""\ud83dx""#, None),
            (r#""\ud83d\u0041""#, None),
            (r#""\ude00""#, None),
            (r#""\u00""#, None),
            (r#""\u+041""#, None),
            (r#""\x""#, None),
            ("\"", None),
            ("12", None),
        ] {
            assert_eq!(unescape(quoted).as_deref(), expected, "{quoted}");
        }
    }

    /// The same verdict as a general parser's on a hundred thousand texts that were JSON before something happened to
    /// them, and the same members.
    #[test]
    fn a_general_parser_agrees() {
        use std::collections::BTreeMap;

        const SEEDS: [&str; 4] = [
            r#"{"access_token":"ey.a-b_c","expires_in":"3599","expires_on":1767229200,"token_type":null}"#,
            r#" {"a" : [ 1 , -2.5e-3 , {"b":{}} , [] ], "c":"\u00e9\ud83d\ude00\\\"/" , "d":true}"#,
            r#"{"error":{"code":"X","message":"y","n":[[[0]]]},"f":false,"g":0.0,"h":1E5}"#,
            "{}",
        ];
        const ALPHABET: &[u8] = b"{}[]\",:\\ue0129.-+ETtrafnls \n\tx";
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % below
        };
        let (mut accepted, mut refused) = (0, 0);
        for round in 0..100_000 {
            let mut text = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
            for _ in 0..random(4) {
                let (at, byte) = (random(text.len().max(1)), ALPHABET[random(ALPHABET.len())]);
                match random(4) {
                    0 => text.truncate(at),
                    1 if at < text.len() => text[at] = byte,
                    2 if at < text.len() => drop(text.remove(at)),
                    _ => text.insert(at.min(text.len()), byte),
                }
            }
            let text = String::from_utf8(text).unwrap();
            let general: Result<BTreeMap<String, serde_json::Value>, _> = serde_json::from_str(&text);
            match (read(&text), general) {
                (Err(_), Err(_)) => refused += 1,
                (Ok(own), Ok(general)) => {
                    accepted += 1;
                    let own: BTreeMap<_, _> = own
                        .into_iter()
                        .map(|(name, value)| {
                            let name = unescape(&format!("\"{name}\"")).unwrap();
                            if let Some(text) = unescape(value) {
                                assert_eq!(
                                    serde_json::Value::String(text),
                                    serde_json::from_str::<serde_json::Value>(value).unwrap()
                                );
                            }
                            (name, serde_json::from_str::<serde_json::Value>(value).unwrap())
                        })
                        .collect();
                    assert_eq!(own, general, "{text}");
                }
                // The one difference: half a surrogate pair and a number beyond a float are for whoever wants the value.
                (Ok(_), Err(_)) => assert!(text.contains("\\u") || text.contains(['e', 'E']), "{text}"),
                (Err(why), Ok(_)) => panic!("refused as {why:?}: {text}"),
            }
        }
        assert!(accepted > 20_000 && refused > 20_000, "{accepted} {refused}");
    }
}
