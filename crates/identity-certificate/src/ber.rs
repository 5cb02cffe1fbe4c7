//! BER made DER, as far as PKCS#12 needs it: some tools, Java's among them, write lengths that are not said in advance and
//! strings in parts.

use zeroize::Zeroizing;

use crate::der::{CONSTRUCTED_OCTET_STRING, OCTET_STRING, Reader};

/// The same elements with lengths and whole strings; `None` if they are malformed, or nest too deep.
pub(crate) fn to_der(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // A length that is said takes a byte or two more than one that is not.
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() + bytes.len() / 8 + 16));
    let mut rest = bytes;
    while !rest.is_empty() {
        rest = convert(rest, &mut out, MAX_DEPTH, false)?;
    }
    Some(out)
}

/// Converts one element, and returns what follows it. Of what is part of a string the content alone is written.
fn convert<'a>(bytes: &'a [u8], out: &mut Vec<u8>, depth: usize, is_part: bool) -> Option<&'a [u8]> {
    let depth = depth.checked_sub(1)?;
    let (&tag, after) = bytes.split_first()?;
    let is_constructed = tag & 0x20 != 0;
    let is_string = tag == CONSTRUCTED_OCTET_STRING;
    if is_part && !is_string && tag != OCTET_STRING {
        return None;
    }
    let start = out.len();
    let rest = if is_constructed && let Some(mut rest) = after.strip_prefix(&[0x80]) {
        loop {
            if let Some(end) = rest.strip_prefix(&[0, 0]) {
                break end;
            }
            rest = convert(rest, out, depth, is_string)?;
        }
    } else {
        let mut reader = Reader::new(bytes);
        let element = reader.any()?;
        let mut rest = element.content;
        if is_constructed {
            while !rest.is_empty() {
                rest = convert(rest, out, depth, is_string)?;
            }
        } else {
            out.extend_from_slice(rest);
        }
        reader.rest()
    };
    if !is_part {
        insert_header(if is_string { OCTET_STRING } else { tag }, start, out);
    }
    Some(rest)
}

/// The content of octet strings that follow each other.
pub(crate) fn join(parts: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut whole = Zeroizing::new(Vec::with_capacity(parts.len()));
    let mut reader = Reader::new(parts);
    while !reader.is_empty() {
        whole.extend_from_slice(reader.optional(OCTET_STRING)?);
    }
    Some(whole)
}

/// Puts tag and length before what stands from `start` on.
fn insert_header(tag: u8, start: usize, out: &mut Vec<u8>) {
    let end = out.len();
    out.push(tag);
    match end - start {
        len @ ..=0x7f => out.push(len as u8),
        len => {
            let bytes = len.to_be_bytes();
            let used = bytes.len() - len.leading_zeros() as usize / 8;
            out.push(0x80 | used as u8);
            out.extend(bytes.iter().skip(bytes.len() - used));
        }
    }
    let header = out.len() - end;
    if let Some(element) = out.get_mut(start..) {
        element.rotate_right(header);
    }
}

/// How deep elements may lie in each other: files have ten levels. Source: our choice.
const MAX_DEPTH: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_and_strings_are_whole() {
        for (ber, der) in [
            (&[0x30, 0x80, 0x02, 0x01, 0x03, 0, 0][..], &[0x30, 0x03, 0x02, 0x01, 0x03][..]),
            (&[0x24, 0x80, 0x04, 0x01, 0xaa, 0x24, 0x80, 0x04, 0x01, 0xbb, 0, 0, 0, 0], &[0x04, 0x02, 0xaa, 0xbb]),
            (&[0x24, 0x03, 0x04, 0x01, 0xaa], &[0x04, 0x01, 0xaa]),
            (
                &[0xa0, 0x80, 0x04, 0x02, 0x30, 0x80, 0, 0, 0x05, 0x00],
                &[0xa0, 0x04, 0x04, 0x02, 0x30, 0x80, 0x05, 0x00],
            ),
            (&[], &[]),
        ] {
            assert_eq!(to_der(ber).unwrap().as_slice(), der, "{ber:x?}");
        }
        let long = [&[0x04, 0x82, 0x01, 0x00][..], &[7; 256]].concat();
        assert_eq!(
            *to_der(&[&[0x30, 0x80], &long[..], &[0, 0]].concat()).unwrap(),
            [&[0x30, 0x82, 0x01, 0x04], &long[..]].concat()
        );
    }

    #[test]
    fn the_buffer_is_not_outgrown() {
        let string = |len: u32| [&[0x04, 0x84][..], &len.to_be_bytes(), &vec![7; len as usize]].concat();
        let parts = |len| [&[0x24, 0x80], &string(len)[..], &string(len), &[0, 0]].concat();
        for content in [vec![], [0x30, 0x80, 0, 0].repeat(1000), string(100), parts(70_000), string(250_000)] {
            for depth in 0..MAX_DEPTH - 2 {
                let ber = [[0x30, 0x80].repeat(depth), content.clone(), [0, 0].repeat(depth)].concat();
                let der = to_der(&ber).unwrap();
                assert_eq!(der.capacity(), ber.len() + ber.len() / 8 + 16, "{} in {depth}", content.len());
            }
        }
    }

    #[test]
    fn what_does_not_end_or_nests_without_end_is_refused() {
        for bad in [
            &[0x30, 0x80][..],
            &[0x30, 0x80, 0x02],
            &[0x30, 0x80, 0],
            &[0x04, 0x80, 0, 0],
            &[0x24, 0x03, 0x02, 0x01, 0x01],
        ] {
            assert!(to_der(bad).is_none(), "{bad:x?}");
        }
        assert!(to_der(&[0x30, 0x80].repeat(100_000)).is_none());
        let nested = |depth| [[0x30, 0x80].repeat(depth), [0, 0].repeat(depth)].concat();
        assert!(to_der(&nested(MAX_DEPTH)).is_some() && to_der(&nested(MAX_DEPTH + 1)).is_none());
    }
}
