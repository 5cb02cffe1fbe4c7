//! A gzip file that stores its content, enough to see whether a client decompresses unasked.

/// Wraps `plain` as RFC 1952 wants it, in stored blocks (RFC 1951, section 3.2.4).
pub(crate) fn store(plain: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = plain.chunks(0xffff).peekable();
    if plain.is_empty() {
        file.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let len = u16::try_from(block.len()).unwrap_or(u16::MAX);
        file.push(u8::from(blocks.peek().is_none()));
        file.extend_from_slice(&len.to_le_bytes());
        file.extend_from_slice(&(!len).to_le_bytes());
        file.extend_from_slice(block);
    }
    file.extend_from_slice(&crc32(plain).to_le_bytes());
    let len = u32::try_from(plain.len() & 0xffff_ffff).unwrap_or_default();
    file.extend_from_slice(&len.to_le_bytes());
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_gives_its_check_value() {
        // The check value of CRC-32 in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn long_content_takes_several_blocks() {
        assert_eq!(store(&[]).len(), 23);
        let file = store(&vec![7; 0x1_0001]);
        assert_eq!(file.len(), 10 + 5 + 0xffff + 5 + 2 + 8);
        assert_eq!((file[10], file[10 + 5 + 0xffff]), (0, 1));
    }
}
