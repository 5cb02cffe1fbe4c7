//! What is being done, on a line of the terminal that goes away.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use crate::screen;

/// One line on standard error, if that is a terminal; nothing anywhere else.
pub(super) struct Progress {
    is_on: bool,
}

impl Progress {
    /// Of lines of a log there must be none that is erased.
    pub(super) fn new(has_log: bool) -> Self {
        let is_terminal = io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { is_on: is_terminal && !has_log }
    }

    pub(super) fn show(&self, what: &str) {
        if self.is_on {
            // It is its own terminal, whatever the report is written to.
            let width = terminal_size::terminal_size_of(io::stderr()).map_or(USUAL, |(width, _)| width.0.into());
            screen::tell(&line(what, width));
        }
    }

    pub(super) fn clear(&self) {
        if self.is_on {
            screen::tell(ERASE);
        }
    }
}

impl Drop for Progress {
    /// Also where somebody loses patience.
    fn drop(&mut self) {
        self.clear();
    }
}

/// In place of the line before. A longer text would go on to the next line, which is not erased.
fn line(what: &str, width: usize) -> String {
    let text: String = screen::escape(&format!("... {what}")).chars().take(width.saturating_sub(1)).collect();
    format!("{ERASE}{text}")
}

/// As wide as terminals mostly are.
const USUAL: usize = 80;
/// To the start of the line, and away with what is on it.
const ERASE: &str = "\r\u{1b}[K";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_the_place_of_the_one_before_and_is_one_line() {
        assert_eq!(line("asking \u{1b}X", 80), "\r\u{1b}[K... asking \\u{1b}X");
        assert_eq!(line("asking somebody", 10), "\r\u{1b}[K... askin");
    }
}
