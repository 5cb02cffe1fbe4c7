//! Reads XML, as much of it as SOAP messages need, and nothing that could do harm: no DTD, no entities of its own.

use std::fmt::Write as _;

/// An element, taken apart. It is never printed: a password may be in it.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(crate) struct Element {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) children: Vec<Self>,
    /// Namespace, name and value of each attribute, in this order; declarations of namespaces are none.
    attributes: Vec<(String, String, String)>,
    /// What is directly in it.
    pub(crate) content: String,
}

impl Element {
    pub(crate) fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    /// What is directly in it, without white space at both ends.
    pub(crate) fn text(&self) -> &str {
        self.content.trim()
    }

    pub(crate) fn attribute(&self, namespace: &str, name: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(space, other, _)| space == namespace && other == name);
        found.next().map(|(_, _, value)| value.as_str())
    }

    /// The same text for all documents that say the same, however they write it.
    pub(crate) fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        let Self { namespace, name, children, attributes, content } = self;
        // Writing to a string cannot fail.
        let _ = write!(out, "({namespace:?} {name:?} {attributes:?} {content:?}");
        children.iter().for_each(|child| child.write(out));
        out.push(')');
    }

    /// The only child of that name.
    pub(crate) fn child(&self, namespace: &str, name: &str) -> Option<&Self> {
        let mut found = self.children.iter().filter(|child| child.is(namespace, name));
        found.next().filter(|_| found.next().is_none())
    }

    /// The only descendant along that path.
    pub(crate) fn find(&self, path: &[(&str, &str)]) -> Option<&Self> {
        path.iter().try_fold(self, |element, (namespace, name)| element.child(namespace, name))
    }
}

/// The root of a document; `None` if anything is wrong with it.
pub(crate) fn parse(text: &str) -> Option<Element> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(declaration) = rest.strip_prefix("<?xml ") {
        rest = declaration.split_once("?>")?.1;
    }
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    while !rest.is_empty() {
        let Some(markup) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            let (content, after) = rest.split_at_checked(end)?;
            match open.last_mut() {
                Some(parent) => parent.element.content.push_str(&unescape(content)?),
                None if content.trim().is_empty() => {}
                None => return None,
            }
            rest = after;
            continue;
        };
        rest = if let Some(comment) = markup.strip_prefix("!--") {
            comment.split_once("-->")?.1
        } else if let Some(data) = markup.strip_prefix("![CDATA[") {
            let (content, after) = data.split_once("]]>")?;
            open.last_mut()?.element.content.push_str(content);
            after
        } else if let Some(end) = markup.strip_prefix('/') {
            let (name, after) = end.split_once('>')?;
            let closed = open.pop().filter(|closed| closed.tag == name.trim_end())?;
            close(closed, &mut open, &mut root)?;
            after
        } else {
            let (tag, after) = split_tag(markup)?;
            if open.len() >= MAX_DEPTH || (open.is_empty() && root.is_some()) {
                return None;
            }
            let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            let opened = Open::new(tag, &open)?;
            if is_empty {
                close(opened, &mut open, &mut root)?;
            } else {
                open.push(opened);
            }
            after
        };
    }
    root.filter(|_| open.is_empty())
}

/// An element whose end has not come yet.
struct Open {
    /// The name with its prefix.
    tag: String,
    element: Element,
    /// The prefixes that it declares.
    namespaces: Vec<(String, String)>,
}

impl Open {
    /// The element of that tag, in those that are open.
    fn new(text: &str, open: &[Self]) -> Option<Self> {
        let end = text.find(is_space).unwrap_or(text.len());
        let (tag, rest) = text.split_at_checked(end)?;
        let (mut namespaces, mut attributes) = (Vec::new(), Vec::new());
        for (name, value) in self::attributes(rest)? {
            match name.split_once(':').unwrap_or(("", name)) {
                ("", "xmlns") => namespaces.push((String::new(), value)),
                ("xmlns", _) if value.is_empty() => return None,
                ("xmlns", prefix) => namespaces.push((prefix.to_owned(), value)),
                (prefix, name) => attributes.push((prefix, name, value)),
            }
        }
        // They stay where they are declared: a copy for each element would be many.
        let outer = open.iter().rev().flat_map(|outer| outer.namespaces.iter().rev());
        let declared = namespaces.iter().rev().chain(outer);
        let bound = |prefix: &str| match prefix {
            "xml" => Some(XML.to_owned()),
            _ => declared.clone().find(|(known, _)| known == prefix).map(|(_, namespace)| namespace.clone()),
        };
        let (prefix, name) = tag.split_once(':').unwrap_or(("", tag));
        if !is_name(name) || (!prefix.is_empty() && !is_name(prefix)) {
            return None;
        }
        let namespace = if prefix.is_empty() { bound("").unwrap_or_default() } else { bound(prefix)? };
        let resolved = attributes.into_iter().map(|(prefix, name, value)| {
            let namespace = if prefix.is_empty() { String::new() } else { bound(prefix)? };
            Some((namespace, name.to_owned(), value))
        });
        let mut attributes: Vec<_> = resolved.collect::<Option<_>>()?;
        attributes.sort();
        let element = Element { namespace, name: name.to_owned(), attributes, ..Element::default() };
        Some(Self { tag: tag.to_owned(), element, namespaces })
    }
}

fn close(closed: Open, open: &mut [Open], root: &mut Option<Element>) -> Option<()> {
    match open.last_mut() {
        Some(parent) => parent.element.children.push(closed.element),
        None if root.is_none() => *root = Some(closed.element),
        None => return None,
    }
    Some(())
}

/// A tag without its brackets, and what follows; a `>` in a value does not end it.
fn split_tag(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (place, letter) in text.char_indices() {
        match (quote, letter) {
            (None, '>') => return Some((text.get(..place)?, text.get(place + 1..)?)),
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (_, '<') => return None,
            _ => {}
        }
    }
    None
}

/// The attributes of a tag, none of which may be there twice.
fn attributes(text: &str) -> Option<Vec<(&str, String)>> {
    let mut found: Vec<(&str, String)> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (name, after) = (name.trim_end(), after.trim_start());
        let quote = after.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
        let (value, after) = after.get(1..)?.split_once(quote)?;
        if !name.split(':').all(is_name) || found.iter().any(|(other, _)| *other == name) {
            return None;
        }
        // Between two there is a space.
        if !after.is_empty() && !after.starts_with(is_space) {
            return None;
        }
        found.push((name, unescape(value)?));
        rest = after.trim_start();
    }
    Some(found)
}

/// Text without references; those to entities of a DTD are unknown.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';')?;
        out.push_str(before);
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            number => {
                let digits = number.strip_prefix('#')?;
                let code = match digits.strip_prefix('x') {
                    Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                    None => digits.parse().ok()?,
                };
                char::from_u32(code).filter(|letter| !letter.is_control() || ['\t', '\n', '\r'].contains(letter))?
            }
        });
        rest = after;
    }
    out.push_str(rest);
    let is_allowed = |letter: char| !letter.is_control() || ['\t', '\n', '\r'].contains(&letter);
    out.chars().all(is_allowed).then_some(out)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn is_space(letter: char) -> bool {
    [' ', '\t', '\r', '\n'].contains(&letter)
}

/// Text that is to stand in an element or in an attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

/// What the prefix `xml` always means.
const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// How deep elements may be nested: a SOAP message needs eight levels.
const MAX_DEPTH: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_their_namespaces() {
        let root = parse(
            "\u{feff}<?xml version='1.0'?>\n<!-- <x> -->\
             <a:r xmlns:a='urn:a' xmlns='urn:d' n=\">\"><b>1 &lt;&#x41;&#66;</b>\
             <a:c xmlns:a='urn:e'><![CDATA[<&]]></a:c><d xmlns=''/>\n</a:r> ",
        )
        .unwrap();
        assert!(root.is("urn:a", "r"));
        assert_eq!(root.child("urn:d", "b").unwrap().content, "1 <AB");
        assert_eq!(root.find(&[("urn:e", "c")]).unwrap().content, "<&");
        assert_eq!(root.child("", "d").unwrap().children, []);
        assert!(root.child("urn:a", "c").is_none());
    }

    #[test]
    fn what_is_declared_for_many_elements_is_kept_once() {
        let declared: String = (0..1_600).map(|number| format!(" xmlns:n{number}='u'")).collect();
        let text = format!("<a{declared}>{}</a>", "<b/>".repeat(9_000));
        assert!(text.len() < crate::server::MAX_BODY);
        assert_eq!(parse(&text).unwrap().children.len(), 9_000);
    }

    #[test]
    fn what_is_wrong_is_nothing() {
        let deep = format!("{}{}", "<a>".repeat(33), "</a>".repeat(33));
        for text in [
            "",
            "x",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a:b/>",
            "<a b/>",
            "<a b=c/>",
            "<a b='c/>",
            "<a b='1' b='2'/>",
            "<a b='1'c='2'/>",
            "<a b='<'/>",
            "<a>&b;</a>",
            "<a>&#0;</a>",
            "<a>&#xd800;</a>",
            "<a>&</a>",
            "<a>\0</a>",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<?xml-stylesheet href='x'?><a/>",
            "<a><?php x ?></a>",
            "<a><!-- </a>",
            "< a/>",
            "<1/>",
            &deep,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert!(parse(&"<a>".repeat(100_000)).is_none());
        let two = parse("<a><b/><b/></a>").unwrap();
        assert!(two.child("", "b").is_none(), "which of the two?");
    }
}
