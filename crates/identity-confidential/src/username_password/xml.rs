//! XML of servers that nobody here chose.

use roxmltree::{Document, ParsingOptions};

/// Why a text is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It ends too early: more text could make it a document.
    Cut,
    /// It nests deeper than [`DEPTH_LIMIT`].
    Deep,
    /// It declares a document type, by which entities could be defined.
    Dtd,
    /// It has more of something than any honest document.
    Many,
    /// It is none, and no text after it could make it one.
    Wrong(String),
}

impl Flaw {
    /// What is wrong with the document, for an error. May repeat names in it.
    pub(super) fn why(&self) -> String {
        let text = match self {
            Self::Cut => "it is cut short",
            Self::Deep => "it nests too deeply",
            Self::Dtd => "it declares a document type, as pages do",
            Self::Many => "it has more elements, attributes or namespaces than is sane",
            Self::Wrong(why) => return ["it is not well-formed: ", why].concat(),
        };
        text.to_owned()
    }
}

/// Reads a document in UTF-8.
///
/// One pass over the bytes, which does not recurse, comes first: what it lets through has no document type and so no entities
/// of its own, is shallow, and has few enough attributes and namespaces that the parser's work grows no faster than the text.
pub(super) fn parse(text: &[u8]) -> Result<Document<'_>, Flaw> {
    scan(text)?;
    let text = std::str::from_utf8(text).map_err(|_| not_utf8())?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODE_LIMIT, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => Flaw::Many,
        error => Flaw::Wrong(error.to_string()),
    })
}

/// Whether a text is the beginning of a document and no more.
pub(super) fn is_cut(text: &[u8]) -> bool {
    scan(text) == Err(Flaw::Cut)
}

fn scan(text: &[u8]) -> Result<(), Flaw> {
    match std::str::from_utf8(text) {
        // UTF-16 looks like that.
        Ok(text) if text.bytes().any(|b| b == 0) => return Err(not_utf8()),
        Ok(_) => {}
        // It ends within a character.
        Err(error) if error.error_len().is_none() => return Err(Flaw::Cut),
        Err(_) => return Err(not_utf8()),
    }
    // How many namespaces each open element declares.
    let mut open: Vec<u8> = Vec::with_capacity(DEPTH_LIMIT);
    let (mut in_scope, mut work, mut is_document, mut rest) = (0, 0, false, text);
    // Pages leave elements open, and end as documents do.
    let is_cut = !text.trim_ascii_end().ends_with(b">");
    let unfinished = || if is_cut { Flaw::Cut } else { Flaw::Wrong("something is left open".to_owned()) };
    while let Some((_, from)) = rest.iter().position(|b| *b == b'<').and_then(|at| rest.split_at_checked(at)) {
        let after = |start: &[u8], end: &[u8]| {
            let tail = from.strip_prefix(start)?;
            Some(position(tail, end).and_then(|at| tail.get(at + end.len()..)).ok_or_else(unfinished))
        };
        let misc = (after(b"<!--", b"-->")).or_else(|| after(b"<![CDATA[", b"]]>")).or_else(|| after(b"<?", b"?>"));
        if let Some(tail) = misc {
            rest = tail?;
            continue;
        }
        if from.starts_with(b"<!") {
            let is_start = b"<!--".starts_with(from) || b"<![CDATA[".starts_with(from);
            return Err(if is_start { Flaw::Cut } else { Flaw::Dtd });
        }
        if let Some(tail) = after(b"</", b">") {
            rest = tail?;
            in_scope -= usize::from(open.pop().unwrap_or(0));
            continue;
        }
        let (tag, tail) = Tag::read(from).ok_or_else(unfinished)?;
        rest = tail;
        is_document = true;
        let scope = in_scope + usize::from(tag.namespaces);
        work += if tag.namespaces > 0 { scope * scope } else { 0 };
        if tag.attributes > ATTRIBUTE_LIMIT || scope > NAMESPACE_LIMIT || work > NAMESPACE_WORK_LIMIT {
            return Err(Flaw::Many);
        }
        if open.len() >= DEPTH_LIMIT {
            return Err(Flaw::Deep);
        }
        if !tag.is_empty {
            in_scope = scope;
            open.push(tag.namespaces);
        }
    }
    match (is_document, open.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => Err(unfinished()),
        (false, _) if text.trim_ascii().is_empty() => Err(Flaw::Cut),
        (false, _) => Err(Flaw::Wrong("there is no element in it".to_owned())),
    }
}

/// The start of an element, or a whole one without content.
struct Tag {
    attributes: u8,
    /// How many of the attributes declare namespaces; names that only look like it count, too.
    namespaces: u8,
    is_empty: bool,
}

impl Tag {
    /// Reads the tag that `text` begins with; `None` if it does not end.
    fn read(text: &[u8]) -> Option<(Self, &[u8])> {
        let mut tag = Self { attributes: 0, namespaces: 0, is_empty: false };
        let (mut quote, mut last, mut rest) = (None, b'<', text.get(1..)?);
        while let [byte, tail @ ..] = rest {
            match (quote, *byte) {
                (Some(open), byte) if open == byte => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(*byte),
                (None, b'=') => tag.attributes = tag.attributes.saturating_add(1),
                (None, b'x') if rest.starts_with(b"xmlns") => {
                    tag.namespaces = tag.namespaces.saturating_add(1);
                }
                (None, b'>') => {
                    tag.is_empty = last == b'/';
                    return Some((tag, tail));
                }
                (None, _) => {}
            }
            (last, rest) = (*byte, tail);
        }
        None
    }
}

fn not_utf8() -> Flaw {
    Flaw::Wrong("it is not UTF-8".to_owned())
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// The deepest nesting that is accepted. Source: our choice, as the limits below; what federation servers send is far from
/// all of them.
pub(super) const DEPTH_LIMIT: usize = 64;
/// The most attributes of one element, namespaces included: the parser compares each with each.
const ATTRIBUTE_LIMIT: u8 = 64;
/// The most namespaces in scope: the parser looks through them one by one.
const NAMESPACE_LIMIT: usize = 64;
/// The most comparisons of namespaces: for an element that declares some the parser compares all in scope with each other.
/// It makes a hundred in a microsecond; a document of AD FS takes a small part of these.
const NAMESPACE_WORK_LIMIT: usize = 4_000_000;
/// The most elements, texts, comments and processing instructions, some 100 bytes each.
const NODE_LIMIT: u32 = 32_768;
