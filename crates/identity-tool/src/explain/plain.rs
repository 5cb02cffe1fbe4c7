//! Our own Markdown as plain text.

use crate::screen::Paint;

/// A section of a page, for terminals of any width: each paragraph is one line, each row of a table a few, and a link stands as its
/// words and its target.
pub(super) fn text(section: &str, paint: Paint) -> String {
    let mut out = String::new();
    let (mut paragraph, mut header, mut is_code): (String, Option<Vec<String>>, bool) = Default::default();
    for (number, line) in section.lines().enumerate() {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        let row = line.strip_prefix('|').filter(|_| !is_code);
        let is_text = !is_fence && !is_code && number > 0 && row.is_none() && !line.is_empty();
        if is_text && !line.starts_with('#') {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line);
            continue;
        }
        if !paragraph.is_empty() {
            out.extend([words(&paragraph).as_str(), "\n"]);
            paragraph.clear();
        }
        match row {
            Some(row) if header.is_none() => header = Some(cells(row)),
            Some(row) if row.starts_with("---") => {}
            Some(row) => out.push_str(&told(&cells(row), paint)),
            None => {
                header = None;
                let heading = if number == 0 { line } else { line.trim_start_matches(['#', ' ']) };
                match line {
                    _ if is_fence => {}
                    _ if is_code => out.extend(["    ", line, "\n"]),
                    "" => out.push('\n'),
                    _ => out.extend([paint.bold(&words(heading)).as_str(), "\n"]),
                }
            }
        }
    }
    if !paragraph.is_empty() {
        out.extend([words(&paragraph).as_str(), "\n"]);
    }
    out.trim_end().to_owned() + "\n"
}

/// A row: what is seen, why, and what to do.
fn told(cells: &[String], paint: Paint) -> String {
    let marks = ["  ", "    why: ", "    do:  "];
    let line = |(at, (cell, mark)): (usize, (&String, &str))| {
        let cell = if at == 0 { paint.bold(cell) } else { cell.clone() };
        format!("{mark}{cell}\n")
    };
    cells.iter().zip(marks).enumerate().map(line).collect()
}

fn cells(row: &str) -> Vec<String> {
    row.trim().trim_end_matches('|').split(" | ").map(|cell| words(cell.trim())).collect()
}

/// The text without marks of code, and with links as their words; those to a part of the page lead to its command.
fn words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let (before, shown) = before.rsplit_once('[').unwrap_or(("", before));
        let (target, more) = after.split_once(')').unwrap_or((after, ""));
        out.extend([before, shown]);
        match target.strip_prefix('#') {
            Some(name) => out.extend([" (identity explain ", name, ")"]),
            None if target.ends_with(shown) => {}
            None => out.extend([" (", target, ")"]),
        }
        rest = more;
    }
    out.push_str(rest);
    out.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_plain_text() {
        let section = "Title\n\n`A`: one\ntwo, see [there](#there) and [X](http://x) and [N.md](N.md).\n\n### Sub: `s`\n\n| what you see | why | what to do |\n|---|---|---|\n| `a …` `b` | c | `d` |\n| `e` | f | g |\n\n```sh\nx `y` | z\n```\nend\n";
        assert_eq!(
            text(section, Paint::NONE),
            "Title\n\nA: one two, see there (identity explain there) and X (http://x) and N.md.\n\nSub: s\n\n  a … b\n    why: c\n    do:  d\n  e\n    why: f\n    do:  g\n\n    x `y` | z\nend\n"
        );
    }

    #[test]
    fn half_a_link_is_left_as_it_is() {
        assert_eq!(words("a ](b"), "a  (b)");
        assert_eq!(words("[a] b"), "[a] b");
    }
}
