//! Reading PEM (RFC 7468), and the older form with headers (RFC 1421).

use zeroize::Zeroizing;

/// One block: `-----BEGIN label-----` to `-----END label-----`.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) label: &'a [u8],
    /// Whether it is encrypted as RFC 1421 has it.
    pub(crate) is_encrypted: bool,
    body: &'a [u8],
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

/// Whether there is a block, or the beginning of one.
pub(crate) fn is_pem(text: &[u8]) -> bool {
    split(text, BEGIN).is_some()
}

/// Goes over the blocks of a text, whose lines may have been joined; what stands between them is skipped, in whatever
/// encoding it is.
pub(crate) fn blocks(text: &[u8]) -> impl Iterator<Item = Result<Block<'_>, Malformed>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, text) = split(rest, BEGIN)?;
        let block = block(text);
        rest = block.as_ref().map_or(&[], |(_, after)| after);
        Some(block.map(|(block, _)| block).ok_or(Malformed::Cut))
    })
}

/// The block whose label `text` starts with, and what follows it.
fn block(text: &[u8]) -> Option<(Block<'_>, &[u8])> {
    let (label, text) = split(text, DASHES)?;
    let (body, text) = split(text, END)?;
    let rest = text.strip_prefix(label)?.strip_prefix(DASHES)?;
    let is_encrypted = split(body, b"Proc-Type:").is_some();
    (!is_pem(body)).then_some((Block { label, is_encrypted, body }, rest))
}

/// What stands before and after a mark.
fn split<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|window| window == mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// Decodes base64 with padding; white space is skipped, and ends of lines as some tools write them: `\n`.
pub(crate) fn decode_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // As large as it can become, so that no part of a key stays behind in a buffer that was too small.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    let (mut bits, mut count, mut padding) = (0u32, 0u32, 0usize);
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
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
            b'\\' if matches!(bytes.next(), Some(b'n' | b'r')) => continue,
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

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_other_text() {
        let text = b"Bag Attributes\xff\r\n-----BEGIN A-----\r\nZm9v\r\nYg==\r\n-----END A-----\r\nsubject=x\n  \
                     -----BEGIN B C-----\n  Zm9v\n  -----END B C-----";
        let found: Vec<_> = blocks(text).map(|block| block.unwrap()).collect();
        let shown: Vec<_> = found.iter().map(|block| (block.label, block.decode().unwrap().to_vec())).collect();
        assert_eq!(shown, [(&b"A"[..], b"foob".to_vec()), (b"B C", b"foo".to_vec())]);
        assert!(found.iter().all(|block| !block.is_encrypted));
    }

    #[test]
    fn lines_may_be_joined() {
        for end in [&b"\n"[..], b"\r\n", b"\r", b" ", b"", b"\\n", b"\\r\\n"] {
            let lines: [&[u8]; 7] = [
                b"key: x",
                b"-----BEGIN A-----",
                b"Zm9v",
                b"Yg==",
                b"-----END A-----",
                b"-----BEGIN B-----",
                b"-----END B-----",
            ];
            let text = lines.join(end);
            let found: Vec<_> = blocks(&text).map(|block| block.unwrap()).collect();
            assert_eq!((found.len(), found[0].decode().unwrap().as_slice()), (2, &b"foob"[..]), "{end:?}");
        }
    }

    #[test]
    fn the_old_encryption_is_noticed_and_nothing_else_is_taken_for_it() {
        let text = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nZm9v\n-----END RSA PRIVATE KEY-----\n";
        let block = blocks(text).next().unwrap().unwrap();
        assert!(block.is_encrypted);
        assert_eq!(block.decode(), Err(Malformed::Base64));
        let block = blocks(b"-----BEGIN PRIVATE KEY-----\nZm9v:\n-----END PRIVATE KEY-----\n").next().unwrap().unwrap();
        assert!(!block.is_encrypted);
        assert_eq!(block.decode(), Err(Malformed::Base64));
    }

    #[test]
    fn blocks_that_do_not_end_are_cut() {
        for text in [
            "-----BEGIN A-----",
            "-----BEGIN A",
            "-----BEGIN A-----\nZm9v\n-----END B-----\n",
            "-----BEGIN A-----\nZm9v\n-----END A----\n",
            "-----BEGIN A-----\nZm9v\n-----BEGIN A-----",
            "-----BEGIN A-----\nZm9v\n-----BEGIN A-----\nZm9v\n-----END A-----",
        ] {
            let found: Vec<_> = blocks(text.as_bytes()).collect();
            assert!(matches!(found[..], [Err(Malformed::Cut)]), "{text}");
        }
        assert_eq!(blocks(b"").count() + blocks(b"-----BEGIN").count() + blocks(b"\n\n").count(), 0);
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for bad in ["Zg", "Zg=", "Zg===", "Zg==Zg==", "Z", "Zh==", "Zm9v!", "Zm-_", "====", "Zm9v\\", "Zm9v\\t"] {
            assert!(decode_base64(bad.as_bytes()).is_none(), "{bad}");
        }
        assert_eq!(decode_base64(b"").unwrap().as_slice(), b"");
    }
}
