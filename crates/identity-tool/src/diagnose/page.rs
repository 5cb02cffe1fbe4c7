//! Text in lines that fit a terminal.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal as _},
};

use crate::screen::{self, Paint};

/// How a text is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Dim,
    Bold,
    Good,
    Bad,
}

/// A page that grows.
pub(super) struct Page {
    width: usize,
    paint: Paint,
    out: String,
}

impl Page {
    pub(super) fn new(width: usize, paint: Paint) -> Self {
        Self { width, paint, out: String::new() }
    }

    pub(super) fn into_text(self) -> String {
        self.out
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.out.push('\n');
        self.text(0, text, Style::Bold);
    }

    /// Text of as many lines as it takes, each `indent` from the left.
    pub(super) fn text(&mut self, indent: usize, text: &str, style: Style) {
        for line in wrap(&screen::escape(text), self.width.saturating_sub(indent)) {
            let _ = writeln!(self.out, "{:indent$}{}", "", self.painted(&line, style));
        }
    }

    /// A label, and its text beside it; below it where the page is narrow.
    pub(super) fn row(&mut self, indent: usize, label_width: usize, label: &str, text: &str, style: Style) {
        let label = screen::escape(label);
        let start = indent + label_width + 1;
        let room = self.width.saturating_sub(start);
        let is_too_long = || text.split(' ').any(|word| word.chars().count() > room);
        if room < LEAST_TEXT || label.chars().count() > label_width || is_too_long() {
            self.text(indent, &label, Style::Dim);
            return self.text(indent + 2, text, style);
        }
        let mut label = self.painted(&format!("{label:label_width$}"), Style::Dim);
        for line in wrap(&screen::escape(text), room) {
            let _ = writeln!(self.out, "{:indent$}{label} {}", "", self.painted(&line, style));
            label = " ".repeat(label_width);
        }
    }

    /// Parts of one line in columns of these widths; below each other where they do not fit.
    pub(super) fn columns(&mut self, first: (&str, Style, usize), second: (&str, Style)) {
        let (name, style, width) = first;
        if name.chars().count().max(width) + second.0.chars().count() + 1 > self.width {
            // Its number stays where those of the others are.
            let _ = writeln!(self.out, "{}", self.painted(name, style));
            return self.text(CONTINUED, second.0, second.1);
        }
        let name = self.painted(&format!("{name:width$}"), style);
        let _ = writeln!(self.out, "{name} {}", self.painted(second.0, second.1));
    }

    fn painted(&self, text: &str, style: Style) -> String {
        match style {
            Style::Plain => text.to_owned(),
            Style::Dim => self.paint.dim(text),
            Style::Bold => self.paint.bold(text),
            Style::Good => self.paint.green(text),
            Style::Bad => self.paint.red(text),
        }
    }
}

/// Breaks a text at blanks so that its lines have `width` characters. What is between backticks stays together, for it is
/// there to be copied; a longer word has a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in words(text, width) {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// The words of a text, and what is between backticks as one word if it fits a line.
fn words(text: &str, width: usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_matches(' ');
    while !rest.is_empty() {
        let end = rest.find(' ').unwrap_or(rest.len());
        let whole =
            code_end(rest, end).filter(|end| rest.get(..*end).is_some_and(|code| code.chars().count() <= width));
        let (word, tail) = rest.split_at(whole.unwrap_or(end));
        words.push(word);
        rest = tail.trim_start_matches(' ');
    }
    words
}

/// Where the word ends whose first blank, at `end`, is inside of backticks.
fn code_end(text: &str, end: usize) -> Option<usize> {
    let opens = text.get(..end)?.matches('`').count() % 2 == 1;
    let close = text.get(end..)?.find('`').filter(|_| opens)? + end;
    Some(text.get(close..)?.find(' ').map_or(text.len(), |blank| close + blank))
}

/// How wide the page is: what `COLUMNS` says, else the terminal, else 80; 100 at most, for longer lines are hard to read.
pub(super) fn width() -> usize {
    let told = env::var("COLUMNS").ok().and_then(|columns| columns_of(&columns));
    let seen =
        || terminal_size::terminal_size().filter(|_| io::stdout().is_terminal()).map(|(width, _)| width.0.into());
    told.or_else(seen).unwrap_or(USUAL).clamp(LEAST, MOST)
}

/// Who does not know it says 0.
fn columns_of(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|columns| *columns > 0)
}

const USUAL: usize = 80;
const LEAST: usize = 30;
const MOST: usize = 100;
/// Where a text beside a label would have less, it goes below it.
const LEAST_TEXT: usize = 24;
/// How far what belongs to a numbered line is indented.
pub(super) const CONTINUED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_blanks_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("https://aka.ms/azure-cli it is", 10), ["https://aka.ms/azure-cli", "it is"]);
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(wrap("  a   b ", 10), ["a b"]);
        assert_eq!(wrap("Zürich 東京", 9), ["Zürich 東京"]);
    }

    #[test]
    fn a_command_is_not_broken_unless_it_has_to_be() {
        assert_eq!(wrap("now run `az login --tenant x`, please", 22), ["now run", "`az login --tenant x`,", "please"]);
        assert_eq!(wrap("run `az login --tenant x`", 10), ["run `az", "login", "--tenant", "x`"]);
        assert_eq!(wrap("a ` alone is text", 6), ["a `", "alone", "is", "text"]);
    }

    #[test]
    fn a_row_that_does_not_fit_goes_below_its_label() {
        let mut page = Page::new(40, Paint::NONE);
        page.row(2, 8, "label", "beside it, for as long as it takes", Style::Plain);
        page.row(2, 20, "label", "below", Style::Plain);
        page.row(2, 8, "label", "https://vault.azure.net/.default", Style::Plain);
        assert_eq!(
            page.into_text(),
            "  label    beside it, for as long as it\n           takes\n  label\n    below\n  label\n    https://vault.azure.net/.default\n"
        );
    }

    #[test]
    fn a_name_that_does_not_fit_keeps_its_place() {
        let mut page = Page::new(30, Paint::NONE);
        page.columns((" 1  SomebodyCredential", Style::Plain, 25), ("token: it wins", Style::Plain));
        assert_eq!(page.into_text(), " 1  SomebodyCredential\n    token: it wins\n");
        assert_eq!((columns_of(" 42\n"), columns_of("0"), columns_of("wide")), (Some(42), None, None));
    }

    #[test]
    fn paint_is_around_the_text_and_does_not_count() {
        let mut page = Page::new(30, Paint::ALWAYS);
        page.text(2, "a text that is as long as a line and more", Style::Bad);
        assert_eq!(
            page.into_text(),
            "  \u{1b}[1;31ma text that is as long as a\u{1b}[0m\n  \u{1b}[1;31mline and more\u{1b}[0m\n"
        );
    }

    #[test]
    fn nothing_on_a_page_steers_the_terminal() {
        let mut page = Page::new(80, Paint::NONE);
        page.text(0, "\u{1b}[2J", Style::Plain);
        page.row(0, 5, "a\u{1b}", "b\n\u{202e}", Style::Plain);
        page.heading("\u{9b}");
        assert!(page.into_text().chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')));
    }
}
