//! Reading PEM (RFC 7468), and the older form with headers (RFC 1421).

use zeroize::Zeroizing;

/// One block: `-----BEGIN label-----` to `-----END label-----`.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    /// Whether headers such as `Proc-Type` come before the content.
    pub(crate) has_headers: bool,
    body: &'a str,
}

/// Why a text is no PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// A block begins and does not end.
    Cut,
    /// A block's content is no base64.
    Base64,
}

impl Block<'_> {
    /// The content. Its memory is wiped when dropped.
    pub(crate) fn decode(&self) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        decode_base64(self.body).ok_or(Malformed::Base64)
    }
}

/// Goes over the blocks of a text; what stands between them is skipped.
pub(crate) fn blocks(text: &str) -> impl Iterator<Item = Result<Block<'_>, Malformed>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let line = next_line(&mut rest)?;
            let Some(label) = boundary(line, BEGIN) else { continue };
            let body = rest;
            loop {
                let before = rest.len();
                let Some(line) = next_line(&mut rest) else { return Some(Err(Malformed::Cut)) };
                if boundary(line, BEGIN).is_some() {
                    rest = "";
                    return Some(Err(Malformed::Cut));
                }
                if boundary(line, END) == Some(label) {
                    let body = body.get(..body.len() - before).unwrap_or_default();
                    let has_headers = body.bytes().any(|byte| byte == b':');
                    return Some(Ok(Block { label, has_headers, body }));
                }
            }
        }
    })
}

fn next_line<'a>(rest: &mut &'a str) -> Option<&'a str> {
    if rest.is_empty() {
        return None;
    }
    let end = rest.bytes().position(|byte| byte == b'\n').unwrap_or(rest.len());
    let (line, after) = rest.split_at_checked(end)?;
    *rest = after.get(1..).unwrap_or_default();
    Some(line)
}

/// The label of a line that begins or ends a block. Space before it is none of RFC 7468's, but of YAML's and shells'.
fn boundary<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.trim_ascii().strip_prefix(mark)?.strip_suffix("-----")
}

/// Decodes base64 with padding, white space skipped.
fn decode_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // As large as it can become, so that no part of a key stays behind in a buffer that was too small.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    let (mut bits, mut count, mut padding) = (0u32, 0u32, 0usize);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    let expected = match count {
        0 => 0,
        4 => 2,
        2 => 1,
        _ => return None,
    };
    (padding == expected && bits == 0).then_some(out)
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_other_text() {
        let text = "Bag Attributes\r\n-----BEGIN A-----\r\nZm9v\r\nYg==\r\n-----END A-----\r\nsubject=x\n  -----BEGIN B C-----\n\
                    Zm9v\n  -----END B C-----";
        let found: Vec<_> = blocks(text).map(|block| block.unwrap()).collect();
        let shown: Vec<_> = found.iter().map(|block| (block.label, block.decode().unwrap().to_vec())).collect();
        assert_eq!(shown, [("A", b"foob".to_vec()), ("B C", b"foo".to_vec())]);
        assert!(found.iter().all(|block| !block.has_headers));
    }

    #[test]
    fn headers_are_noticed() {
        let text = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nZm9v\n-----END RSA PRIVATE KEY-----\n";
        let block = blocks(text).next().unwrap().unwrap();
        assert!(block.has_headers);
        assert_eq!(block.decode(), Err(Malformed::Base64));
    }

    #[test]
    fn blocks_that_do_not_end_are_cut() {
        for text in [
            "-----BEGIN A-----",
            "-----BEGIN A-----\nZm9v\n-----END B-----\n",
            "-----BEGIN A-----\nZm9v\n-----BEGIN A-----",
        ] {
            let found: Vec<_> = blocks(text).collect();
            assert!(matches!(found[..], [Err(Malformed::Cut)]), "{text}");
        }
        assert_eq!(blocks("").count() + blocks("-----BEGIN").count() + blocks("\n\n").count(), 0);
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for bad in ["Zg", "Zg=", "Zg===", "Zg==Zg==", "Z", "Zh==", "Zm9v!", "Zm-_", "===="] {
            assert!(decode_base64(bad).is_none(), "{bad}");
        }
        assert_eq!(decode_base64("").unwrap().as_slice(), b"");
    }
}
