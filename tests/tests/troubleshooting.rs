//! The page on troubleshooting says what the code says: its messages exist, its anchors are those that errors name.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test reads the sources and says so by failing")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use identity_core::ErrorKind;
use identity_tests::literals;

/// In tables with this first column its code spans quote messages.
const QUOTING: &str = "what you see";
/// Stands for what differs.
const HOLE: char = '…';

#[test]
fn every_message_that_is_quoted_is_one_of_the_code() {
    let said = said();
    let (mut rows, mut unknown) = (0, Vec::new());
    for row in rows_that_quote(&page()) {
        rows += 1;
        let (codes, quotes): (Vec<&str>, Vec<&str>) = row.iter().partition(|span| span.starts_with("AADSTS"));
        assert!(!quotes.is_empty(), "{row:?} quotes nothing");
        for quote in quotes {
            let is_advice = |code: &&str| identity_oauth::advice(&[number(code)]).is_some_and(|it| it.contains(quote));
            let exists = if codes.is_empty() { is_said(&said, quote) } else { codes.iter().all(is_advice) };
            if !exists {
                unknown.push(format!("{} {quote}", codes.join(" ")));
            }
        }
    }
    assert!(unknown.is_empty(), "docs/TROUBLESHOOTING.md quotes what no code says:\n{}", unknown.join("\n"));
    assert!(rows > 150, "{rows} rows: are the tables still read?");
}

#[test]
fn what_no_code_says_is_not_found() {
    let said = said();
    // The first is in a comment of this project, the second in a test, the third is too short to tell anything.
    for quote in ["first match wins", "nothing here speaks HTTP", "the", "no managed identity there", "… …"] {
        assert!(!is_said(&said, quote), "{quote}");
    }
    for quote in ["no managed identity here", "the token file … is empty", "SYSTEM_OIDCREQUESTURI is not set: this is"]
    {
        assert!(is_said(&said, quote), "{quote}");
    }
}

#[test]
fn each_kind_has_its_section_where_its_errors_send_people() {
    let page = page();
    let anchors: Vec<String> = headings(&page).map(|(_, title)| slug(title)).collect();
    for kind in ErrorKind::ALL {
        let (path, anchor) = kind.help().split_once('#').unwrap();
        assert!(root().join(path).is_file(), "{path}");
        assert_eq!(anchors.iter().filter(|one| *one == anchor).count(), 1, "{anchor}");
        let (_, section) = page.split_once(&format!("\n## {}\n", title(anchor))).unwrap();
        assert!(section.trim_start().starts_with(&format!("`{}`: ", kind.as_str())), "{anchor}");
        assert!(page.contains(&format!("[`{}`](#{anchor})", kind.as_str())), "{anchor} is not in the first table");
    }
}

#[test]
fn every_link_of_the_page_leads_somewhere() {
    let page = page();
    let anchors: Vec<String> = headings(&page).map(|(_, title)| slug(title)).collect();
    let targets: Vec<&str> = page.split("](").skip(1).filter_map(|after| Some(after.split_once(')')?.0)).collect();
    assert!(targets.len() > 10);
    for target in targets {
        let exists = match target.strip_prefix('#') {
            Some(anchor) => anchors.iter().any(|one| one == anchor),
            None => root().join("docs").join(target).is_file(),
        };
        assert!(exists, "{target}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn page() -> String {
    fs::read_to_string(root().join("docs/TROUBLESHOOTING.md")).unwrap()
}

/// The code spans of each row's first cell.
fn rows_that_quote(page: &str) -> Vec<Vec<&str>> {
    let (mut rows, mut quotes) = (Vec::new(), false);
    for line in page.lines() {
        let Some(row) = line.strip_prefix("| ") else {
            quotes &= line.starts_with('|');
            continue;
        };
        let first = row.split(" | ").next().unwrap();
        if first == QUOTING {
            quotes = true;
        } else if quotes {
            rows.push(first.split('`').skip(1).step_by(2).collect());
        }
    }
    rows
}

fn headings(page: &str) -> impl Iterator<Item = (usize, &str)> {
    page.lines().filter_map(|line| {
        let (marks, title) = line.split_once(' ')?;
        (!marks.is_empty() && marks.bytes().all(|b| b == b'#')).then_some((marks.len(), title))
    })
}

/// The anchor that a heading has.
fn slug(title: &str) -> String {
    let kept = title.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// The heading of a kind's anchor.
fn title(anchor: &str) -> String {
    let (first, rest) = anchor.split_at(1);
    first.to_uppercase() + &rest.replace('-', " ")
}

fn number(code: &str) -> u32 {
    code.strip_prefix("AADSTS").and_then(|digits| digits.parse().ok()).unwrap()
}

/// Whether each part of a quote, between its holes, is in one of the texts; one of them has to be long enough to tell something.
fn is_said(said: &[String], quote: &str) -> bool {
    let parts: Vec<&str> = quote.split(HOLE).map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.iter().any(|part| part.len() >= 9)
        && parts.iter().all(|part| part.len() >= 3 && said.iter().any(|text| text.contains(part)))
}

/// Every text in the code of the libraries, tests and fakes aside, and with the constants that it names in place.
fn said() -> Vec<String> {
    let mut all = Vec::new();
    for package in fs::read_dir(root().join("crates")).unwrap() {
        let package = package.unwrap().path();
        if ["identity-emulator", "identity-tool"].iter().any(|name| package.ends_with(name)) {
            continue;
        }
        let mut sources = Vec::new();
        read(&package.join("src"), &mut sources);
        let constants: Vec<(String, String)> = sources.iter().flat_map(|source| constants(source)).collect();
        for text in sources.iter().flat_map(|source| literals(source)) {
            let named = constants.iter().filter(|(name, _)| text.contains(name));
            all.extend(named.map(|(name, value)| text.replace(name, value)));
            all.push(text);
        }
    }
    all
}

fn read(folder: &Path, sources: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            read(&path, sources);
        } else if name.ends_with(".rs") && !["tests.rs", "fakes.rs", "model.rs"].contains(&name) {
            let source = fs::read_to_string(&path).unwrap();
            sources.push(source.split("#[cfg(test)]\nmod ").next().unwrap().to_owned());
        }
    }
}

/// Constants of one text, as a message names them: `{NAME}`.
fn constants(source: &str) -> Vec<(String, String)> {
    let declared = source.lines().filter_map(|line| line.split_once("const ")?.1.split_once(": &str = "));
    declared.filter_map(|(name, value)| Some((format!("{{{name}}}"), literals(value).pop()?))).collect()
}
