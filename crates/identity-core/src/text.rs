//! Encodings of text: percent, form, base64, hexadecimal; ids and codes in it.

use crate::Random;

/// Percent-encodes everything but the unreserved characters of RFC 3986, section 2.3.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    percent_encode_into(&mut out, text);
    out
}

fn percent_encode_into(out: &mut String, text: &str) {
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(hex_digit(byte >> 4));
            out.push(hex_digit(byte & 15));
        }
    }
}

/// Builds the text of a query or of an `application/x-www-form-urlencoded` body.
#[must_use]
pub fn form(pairs: &[(&str, &str)]) -> String {
    // As large as it can become, so that no part of a secret stays behind in a buffer that was too small.
    let mut out = String::with_capacity(pairs.iter().map(|(name, value)| 2 + 3 * (name.len() + value.len())).sum());
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        percent_encode_into(&mut out, name);
        out.push('=');
        percent_encode_into(&mut out, value);
    }
    out
}

/// Decodes base64url without padding, as the parts of a JSON Web Token are written; `None` if it is not that.
#[must_use]
pub fn base64url_decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    (count < 6 && bits == 0).then_some(out)
}

/// Encodes as base64url without padding (RFC 4648, section 5), as the parts of a JSON Web Token are written.
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    let mut out = encode_base64(bytes, b'-', b'_');
    out.truncate(out.trim_end_matches('=').len());
    out
}

/// Encodes as base64 with padding (RFC 4648, section 4).
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    encode_base64(bytes, b'+', b'/')
}

fn encode_base64(bytes: &[u8], high: u8, highest: u8) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            if at > group.len() {
                out.push('=');
                continue;
            }
            out.push(char::from(match (bits >> (18 - 6 * at)) as u8 & 63 {
                value @ 0..26 => b'A' + value,
                value @ 26..52 => b'a' + value - 26,
                value @ 52..62 => b'0' + value - 52,
                62 => high,
                _ => highest,
            }));
        }
    }
    out
}

/// Where `part` stands in `text` for the first time.
///
/// `str::find` brings a two-way search of 3 KB; the texts here are short.
#[must_use]
pub fn find(text: &str, part: &str) -> Option<usize> {
    text.as_bytes().windows(part.len().max(1)).position(|window| window == part.as_bytes())
}

/// The lower-case hexadecimal form of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| hex_digit(digit).to_ascii_lowercase()).collect()
}

/// A random UUID (version 4) for headers that tell one request from another.
#[must_use]
pub fn uuid(random: &dyn Random) -> String {
    let (high, low) = (random.next(), random.next());
    let bits = (u128::from(high) << 64 | u128::from(low)) & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let digits = hex(&bits.to_be_bytes());
    let mut out = String::with_capacity(36);
    for (at, digit) in digits.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            out.push('-');
        }
        out.push(digit);
    }
    out
}

/// The numbers of Entra's error codes in a text (`7000215` for `AADSTS7000215`), each once, in their order, at most 16.
#[must_use]
pub fn entra_codes(text: &str) -> Vec<u32> {
    const MARK: &str = "AADSTS";
    let mut codes = Vec::new();
    let mut rest = text;
    while let Some(at) = find(rest, MARK) {
        rest = rest.get(at + MARK.len()..).unwrap_or_default();
        let len = rest.bytes().take_while(u8::is_ascii_digit).count();
        match rest.get(..len).and_then(|digits| digits.parse().ok()) {
            Some(code) if codes.len() < 16 && !codes.contains(&code) => codes.push(code),
            _ => {}
        }
    }
    codes
}

fn hex_digit(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'A' + value - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_encodes_everything_that_has_a_meaning() {
        assert_eq!(
            form(&[("resource", "https://x.net/ a+b&c=ä"), ("id", "~-._")]),
            "resource=https%3A%2F%2Fx.net%2F%20a%2Bb%26c%3D%C3%A4&id=~-._"
        );
    }

    // Vectors: RFC 4648, section 10; the last by coreutils' base64.
    #[test]
    fn base64_vectors() {
        for (plain, encoded) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"fooba", "Zm9vYmE="),
            (b"foobar", "Zm9vYmFy"),
            (b"\xff\xef\xbe\xff", "/+++/w=="),
        ] {
            assert_eq!(base64(plain), encoded);
            assert_eq!(base64url(plain), encoded.replace('+', "-").replace('/', "_").trim_end_matches('='));
        }
    }

    // Vectors: RFC 4648, section 10, without padding.
    #[test]
    fn base64url_vectors() {
        for (encoded, plain) in [
            ("", ""),
            ("Zg", "f"),
            ("Zm8", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg", "foob"),
            ("Zm9vYmE", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(base64url_decode(encoded).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(base64url_decode("-_-_"), Some(vec![0xfb, 0xff, 0xbf]));
        for bad in ["A", "Zg==", "Zm9v!", "Zh", "Zm+v", "AAAAA"] {
            assert_eq!(base64url_decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn uuids_are_of_version_4_and_hold_the_random_bits() {
        use crate::fakes::FixedRandom;
        for (bits, expected) in
            [(0, "00000000-0000-4000-8000-000000000000"), (u64::MAX, "ffffffff-ffff-4fff-bfff-ffffffffffff")]
        {
            assert_eq!(uuid(&FixedRandom(bits)), expected);
        }
    }

    #[test]
    fn entra_codes_are_found_once_each() {
        let text = "AADSTS500011: x AADSTS7000215. AADSTS500011 AADSTS AADSTSx AADSTS99999999999999 aadsts1";
        assert_eq!(entra_codes(text), [500_011, 7_000_215]);
        assert!(entra_codes("").is_empty());
    }

    #[test]
    fn hex_is_lower_case() {
        assert_eq!(hex(&[0, 0x0f, 0xab]), "000fab");
    }
}
