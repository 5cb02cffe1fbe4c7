use super::*;
use crate::budgets::{Budgets, Counts};

fn workspace() -> Workspace {
    let long_files = [("long.rs".to_owned(), 900)].into();
    Workspace {
        root: "/checkout".into(),
        target: "/checkout/target".into(),
        members: Vec::new(),
        budgets: Budgets { program: Vec::new(), counts: Counts::default(), long_files },
    }
}

fn complaints(rule: Rule, path: &str, text: &str) -> usize {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    rule(&workspace(), &[file(path, text), file("long.rs", "")]).unwrap().len()
}

#[test]
fn long_files_need_an_entry() {
    assert_eq!(complaints(file_length, "a.rs", &"\n".repeat(800)), 0);
    assert_eq!(complaints(file_length, "a.rs", &"\n".repeat(801)), 1);
    assert_eq!(complaints(file_length, "a.json", &"\n".repeat(801)), 0);
    assert_eq!(complaints(file_length, "long.rs", &"\n".repeat(900)), 0);
    assert_eq!(complaints(file_length, "long.rs", &"\n".repeat(901)), 1);
    assert_eq!(file_length(&workspace(), &[]).unwrap().len(), 1, "an entry without a file");
}

#[test]
fn paths_of_machines_are_found_and_others_are_not() {
    for text in ["see /Users/x", "`/builds/y`", "(/tmp/target-z)", "\"/checkout/a\""] {
        assert_eq!(complaints(no_machine_paths, "a.md", text), 1, "{text}");
    }
    for text in ["https://host/builds/y", "../Users/x", "target/real", "/home/site", "checkout/a"] {
        assert_eq!(complaints(no_machine_paths, "a.md", text), 0, "{text}");
    }
}

#[test]
fn versions_stand_in_the_root_only() {
    let rule = |text: &str| complaints(versions_once, "crates/x/Cargo.toml", text);
    assert_eq!(rule("[dependencies]\nserde.workspace = true\nx = { path = \"../x\" }"), 0);
    assert_eq!(rule("[dependencies]\nserde = \"1\""), 1);
    assert_eq!(rule("[dev-dependencies]\nserde = { version = \"1\" }"), 1);
    assert_eq!(rule("[target.'cfg(unix)'.build-dependencies]\nserde = { git = \"https://example\" }"), 1);
    assert_eq!(complaints(no_default_features, "Cargo.toml", "[workspace.dependencies]\nserde = \"1\""), 1);
    assert_eq!(complaints(lints_inherited, "Cargo.toml", "[package]\nname = \"x\""), 1);
    assert_eq!(complaints(lints_inherited, "Cargo.toml", "[package]\nname = \"x\"\n[lints]\nworkspace = true"), 0);
}

#[test]
fn links_to_missing_records_and_loose_ends_are_found() {
    assert_eq!(complaints(records_exist, "a.md", concat!("see docs/a", "dr/0999-nothing.md.")), 1);
    assert_eq!(complaints(records_exist, "a.md", "docs/adr/ holds decisions"), 0);
    assert_eq!(complaints(todos_have_issues, "a.rs", concat!("// TO", "DO: later")), 1);
    assert_eq!(complaints(todos_have_issues, "a.rs", concat!("// TO", "DO(#7): later")), 0);
}
