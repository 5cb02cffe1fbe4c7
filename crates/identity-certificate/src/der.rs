//! Reading DER (ITU-T X.690), the encoding of certificates and keys: lengths and tags, nothing else.
//!
//! Written by hand because the fields that are needed are few, and the parsers of others weigh more than all the rest of
//! this crate. Nothing is copied, recursed into or reserved by what a length says.

/// Goes over elements that follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// One element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// As it is encoded: tag, length and content.
    pub(crate) whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    #[cfg(any(feature = "encrypted", test))]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was not read yet.
    #[cfg(feature = "pkcs12")]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next element, whatever it is. Tags above 30 do not occur in what is read here.
    pub(crate) fn any(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            ..=0x7f => (usize::from(first), rest),
            // Four bytes say more than any file has that is read.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        let whole = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Element { tag, content, whole })
    }

    /// The content of the next element, if it has this tag; else nothing is read.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let element = ahead.any().filter(|element| element.tag == tag)?;
        *self = ahead;
        Some(element.content)
    }

    /// The content of the next element, which is a sequence.
    pub(crate) fn sequence(&mut self) -> Option<Reader<'a>> {
        self.optional(SEQUENCE).map(Reader)
    }

    /// The next element, an integer from 0 to `u32::MAX`.
    pub(crate) fn number(&mut self) -> Option<u32> {
        let bytes = self.optional(INTEGER)?;
        if bytes.is_empty() || bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
            return None;
        }
        bytes.iter().try_fold(0u32, |number, byte| (number >> 24 == 0).then_some(number << 8 | u32::from(*byte)))
    }
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
#[cfg(feature = "pkcs12")]
pub(crate) const CONSTRUCTED_OCTET_STRING: u8 = 0x24;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
/// `[0]`, of an explicitly tagged or constructed element.
pub(crate) const CONTEXT_0: u8 = 0xa0;
/// `[0]`, of an implicitly tagged element that is not constructed.
pub(crate) const CONTEXT_0_PRIMITIVE: u8 = 0x80;
/// `[3]`, likewise explicitly tagged.
pub(crate) const CONTEXT_3: u8 = 0xa3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_one_after_the_other() {
        let mut reader = Reader::new(&[0x30, 0x03, 0x02, 0x01, 0x07, 0x04, 0x81, 0x01, 0xff]);
        assert_eq!(reader.optional(OID), None);
        let mut inner = reader.sequence().unwrap();
        assert_eq!(inner.number(), Some(7));
        assert!(inner.is_empty());
        let element = reader.any().unwrap();
        assert_eq!((element.tag, element.content, element.whole), (0x04, &[0xff][..], &[0x04, 0x81, 0x01, 0xff][..]));
        assert!(reader.is_empty() && reader.any().is_none());
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for bad in [
            &[0x30][..],
            &[0x30, 0x01],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0],
            &[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x82, 0x01],
            &[0x3f, 0x01, 0x00],
            &[0x30, 0xff],
        ] {
            assert!(Reader::new(bad).any().is_none(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_neither_negative_nor_large() {
        for (bytes, expected) in [
            (&[2, 1, 0][..], Some(0)),
            (&[2, 2, 0x08, 0x00], Some(2048)),
            (&[2, 5, 0, 0xff, 0xff, 0xff, 0xff], Some(u32::MAX)),
            (&[2, 5, 1, 0, 0, 0, 0], None),
            (&[2, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0], None),
            (&[2, 1, 0x80], None),
            (&[2, 0], None),
        ] {
            assert_eq!(Reader::new(bytes).number(), expected, "{bytes:?}");
        }
    }
}
