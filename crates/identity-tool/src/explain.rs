//! `identity explain`: the page on troubleshooting, for who has only this program.

use std::{io, process::ExitCode};

use identity::ErrorKind;

use crate::{
    cli::ExplainArgs,
    screen::{self, Paint},
};

mod plain;

/// A part of the page, from its title on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section(&'static str);

pub(crate) fn run(args: &ExplainArgs) -> io::Result<ExitCode> {
    let paint = Paint::stdout();
    screen::print(&match args.section {
        Some(section) => plain::text(section.0, paint),
        None => list(paint),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The command that prints what is known about a kind.
pub(crate) fn command(kind: ErrorKind) -> String {
    let anchor = kind.help().split_once('#').map_or("", |(_, anchor)| anchor);
    format!("identity explain {anchor}")
}

/// All of the page.
pub(crate) fn sections() -> impl Iterator<Item = Section> {
    PAGE.split("\n## ").skip(1).map(Section)
}

/// The section of that name, or about the kind that the library calls so; case does not matter.
pub(crate) fn find(given: &str) -> Option<Section> {
    sections().find(|section| {
        let is_it = |name: &str| name.eq_ignore_ascii_case(given);
        is_it(&section.name()) || section.kind_name().is_some_and(is_it)
    })
}

impl Section {
    /// Its anchor, which is its name on the command line, too.
    pub(crate) fn name(self) -> String {
        self.0.lines().next().unwrap_or_default().to_ascii_lowercase().replace(' ', "-")
    }

    /// What the library calls the kind that it is about, if it is about one.
    pub(crate) fn kind_name(self) -> Option<&'static str> {
        let name = self.name();
        let is_it = |kind: &&ErrorKind| kind.help().split_once('#').is_some_and(|(_, anchor)| anchor == name);
        ErrorKind::ALL.iter().find(is_it).map(|kind| kind.as_str())
    }
}

/// The kinds, each with the first sentence about it, and what else there is.
fn list(paint: Paint) -> String {
    let mut out = String::new();
    for section in sections() {
        let Some(kind) = section.kind_name() else { continue };
        let text = plain::text(section.0, Paint::NONE);
        let about = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(": "));
        let first = about.and_then(|about| about.split(['.', ':']).next()).unwrap_or_default();
        out.push_str(&format!("{}  {first}\n", paint.bold(&format!("{:23}", section.name()))));
    }
    let others: Vec<String> =
        sections().filter(|section| section.kind_name().is_none()).map(|section| section.name()).collect();
    out.push_str(&format!("\nalso {}\nread on by: identity explain KIND\n", others.join(", ")));
    out
}

/// Outside of this package, as the README of the umbrella crate is: where packages stand alone it has to be in here.
const PAGE: &str = include_str!("../../../docs/TROUBLESHOOTING.md");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_section_with_a_table_and_a_line_in_the_list() {
        let list = list(Paint::NONE);
        for kind in ErrorKind::ALL {
            let section = find(kind.as_str()).unwrap();
            let text = plain::text(section.0, Paint::NONE);
            assert!(text.contains(&format!("\n{}: ", kind.as_str())), "{text}");
            assert!(text.contains("\n    why: ") && text.contains("\n    do:  "), "{text}");
            assert!(!text.contains("\n## ") && !text.contains("](") && !text.contains("|---"), "{text}");
            let line = list.lines().find(|line| line.split(' ').next() == Some(&section.name())).unwrap();
            assert!(line.len() > 40 && line.len() < 130, "{line}");
            assert_eq!(command(*kind), format!("identity explain {}", section.name()));
        }
    }

    #[test]
    fn what_the_page_links_to_within_itself_can_be_asked_for() {
        for target in PAGE.split("](#").skip(1).filter_map(|after| Some(after.split_once(')')?.0)) {
            assert!(find(target).is_some(), "{target}");
        }
    }

    #[test]
    fn a_kind_is_known_by_both_names_in_any_case() {
        let expected = find("credential-unavailable");
        assert!(expected.is_some());
        for given in ["CredentialUnavailable", "CREDENTIAL-UNAVAILABLE", "credentialunavailable"] {
            assert_eq!(find(given), expected, "{given}");
        }
        for given in ["", "credential", "credential unavailable", "troubleshooting"] {
            assert_eq!(find(given), None, "{given}");
        }
    }
}
