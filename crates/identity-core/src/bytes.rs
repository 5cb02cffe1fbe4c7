//! Looking at bytes eight at a time, and wiping them. A token is a text of a thousand characters or two, and what is done
//! to each of them is most of what a first token costs.

use zeroize::Zeroize as _;

/// How many bytes come before the first that ends or escapes a JSON string, or may not stand in one.
pub(crate) fn plain_in_string(bytes: &[u8]) -> usize {
    skip(
        bytes,
        |word| has(word, b'"') | has(word, b'\\') | has_below(word, b' '),
        |byte| !matches!(byte, b'"' | b'\\' | ..b' '),
    )
}

/// Whether all bytes are visible ASCII.
pub(crate) fn are_graphic(bytes: &[u8]) -> bool {
    let end =
        skip(bytes, |word| word & HIGH_BITS | has_below(word, b'!') | has(word, 0x7f), |byte| byte.is_ascii_graphic());
    end == bytes.len()
}

/// Overwrites `bytes`, whatever their owner has reserved included.
pub(crate) fn wipe(mut bytes: Vec<u8>) {
    // `Vec`'s own `zeroize` goes over everything twice.
    bytes.as_mut_slice().zeroize();
    bytes.spare_capacity_mut().zeroize();
}

/// How many bytes come before the first that is not good. `suspect` is not zero for a word in which one may be.
fn skip(bytes: &[u8], suspect: impl Fn(u64) -> u64, is_good: impl Fn(u8) -> bool) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let words = words.iter().take_while(|word| suspect(u64::from_le_bytes(**word)) == 0).count();
    let rest = bytes.get(words * 8..).unwrap_or_default();
    words * 8 + rest.iter().position(|&byte| !is_good(byte)).unwrap_or(rest.len())
}

// The classic tests of a word for a byte: not zero if there is one, and then the lowest bit that is set tells the first.
// Source: Bit Twiddling Hacks, https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord.

const fn has(word: u64, byte: u8) -> u64 {
    has_below(word ^ (LOW_BITS * byte as u64), 1)
}

const fn has_below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(LOW_BITS * limit as u64) & !word & HIGH_BITS
}

const LOW_BITS: u64 = u64::MAX / 255;
const HIGH_BITS: u64 = LOW_BITS << 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_judged_as_it_would_be_alone() {
        for len in [0, 1, 7, 8, 9, 16, 31] {
            for at in 0..len {
                for byte in 0..=255 {
                    for other in *b"a~!#" {
                        let mut text = vec![other; len];
                        text[at] = byte;
                        let special = matches!(byte, b'"' | b'\\' | ..b' ');
                        assert_eq!(plain_in_string(&text), if special { at } else { len }, "{text:?}");
                        assert_eq!(are_graphic(&text), byte.is_ascii_graphic(), "{text:?}");
                    }
                }
            }
        }
        assert_eq!((plain_in_string(b""), are_graphic(b"")), (0, true));
    }
}
