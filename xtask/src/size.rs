//! `cargo xtask size`: stripped programs, against their budgets and floors.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::report::Report;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    report.section("size");
    for program in &workspace.budgets.program {
        report.step(&format!("size of {}", program.name), "cargo xtask size", || {
            let bytes = of(&workspace.build(&program.package, PROFILE)?)?;
            let floor = match &program.floor {
                Some(floor) => {
                    let floor = of(&workspace.build_peer(floor, PROFILE)?)?;
                    format!(", floor {} ({:.2}x)", grouped(floor), bytes as f64 / floor as f64)
                }
                None => String::new(),
            };
            let line = format!("{} bytes of {} allowed{floor}", grouped(bytes), grouped(program.bytes));
            if bytes <= program.bytes { Ok(line) } else { Err(line) }
        });
    }
}

/// Bytes of a file. The profile strips.
pub(crate) fn of(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.len())
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The profile of the root manifest that programs are measured in.
pub(crate) const PROFILE: &str = "size";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
    }
}
