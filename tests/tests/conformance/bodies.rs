//! Bodies of requests, compared without regard to the order in which they are written.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

pub(crate) fn compare_form(expected: &BTreeMap<String, String>, body: &str) -> Result<(), String> {
    let decode = |text: &str| {
        let bytes = text.as_bytes();
        let (mut at, mut out) = (0, Vec::new());
        while let Some(&byte) = bytes.get(at) {
            let escaped = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
            match escaped.map(|digits| u8::from_str_radix(digits, 16)) {
                Some(Ok(byte)) => (at, out) = (at + 3, [out, vec![byte]].concat()),
                Some(Err(_)) => return Err(format!("{text:?} is no form text")),
                None => (at, out) = (at + 1, [out, vec![if byte == b'+' { b' ' } else { byte }]].concat()),
            }
        }
        String::from_utf8(out).map_err(|_| format!("{text:?} is no form text"))
    };
    let mut sent = BTreeMap::new();
    for pair in body.split('&') {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is no pair"))?;
        if sent.insert(decode(name)?, decode(value)?).is_some() {
            return Err(format!("{name} was sent twice"));
        }
    }
    let fits = |(name, value): (&String, &String)| {
        sent.get(name).is_some_and(|sent| value == sent || value == "*" && !sent.is_empty())
    };
    if sent.len() == expected.len() && expected.iter().all(fits) {
        return Ok(());
    }
    Err(format!("the form is {sent:?}, expected {expected:?}"))
}

/// Compares a document, or what each of its elements without children holds.
pub(crate) fn compare_xml(expected: &BTreeMap<String, String>, body: &str) -> Result<(), String> {
    let document = Document::parse(body).map_err(|error| format!("the body is no XML: {error}: {body}"))?;
    let mut sent = BTreeMap::new();
    leaves(document.root_element(), "", &mut sent)?;
    let fits = |(name, value): (&String, &String)| {
        sent.get(name).is_some_and(|sent| value == sent || value == "*" && !sent.is_empty())
    };
    if sent.len() == expected.len() && expected.iter().all(fits) {
        return Ok(());
    }
    Err(format!("the XML is {sent:?}, expected {expected:?}"))
}

fn leaves(node: Node<'_, '_>, path: &str, found: &mut BTreeMap<String, String>) -> Result<(), String> {
    let is_leaf = !node.children().any(|child| child.is_element());
    if is_leaf && found.insert(path.to_owned(), node.text().unwrap_or_default().to_owned()).is_some() {
        return Err(format!("{path} was sent twice"));
    }
    node.children().filter(Node::is_element).try_for_each(|child| {
        let name = child.tag_name().name();
        let path = if path.is_empty() { name.to_owned() } else { [path, "/", name].concat() };
        leaves(child, &path, found)
    })
}
