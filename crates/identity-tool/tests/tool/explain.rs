//! `identity explain`, and that errors lead to it.

use identity_emulator::{Answer, Source};
use serde_json::Value;

use crate::{answering, run, token};

const KINDS: [(&str, &str); 6] = [
    ("invalid-argument", "InvalidArgument"),
    ("credential-unavailable", "CredentialUnavailable"),
    ("authentication-required", "AuthenticationRequired"),
    ("authentication-failed", "AuthenticationFailed"),
    ("transport", "Transport"),
    ("protocol", "Protocol"),
];

#[test]
fn each_kind_is_explained_under_either_name_in_any_case() {
    for (name, kind) in KINDS {
        let done = run(&["explain", name]);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{name}");
        assert!(done.stdout.contains(&format!("\n{kind}: ")), "{}", done.stdout);
        assert!(!done.stdout.contains('`') && !done.stdout.contains("\n#"), "{}", done.stdout);
        for other in [kind, &kind.to_lowercase(), &name.to_uppercase()] {
            assert_eq!(run(&["explain", other]).stdout, done.stdout, "{other}");
        }
        let others = KINDS.iter().filter(|(other, _)| *other != name);
        for (_, other) in others {
            assert!(!done.stdout.contains(&format!("\n{other}: ")), "{other} is in {name}");
        }
    }
}

#[test]
fn without_a_kind_all_are_listed() {
    let done = run(&["explain"]);
    assert_eq!((done.code, done.stderr.as_str(), done.stdout.lines().count()), (Some(0), "", 9));
    for (name, _) in KINDS {
        let line = done.stdout.lines().find(|line| line.starts_with(&format!("{name}  "))).unwrap();
        assert!(line.len() > 40, "{line}");
    }
    assert!(done.stdout.contains("\nalso first-steps, clocks, "), "{}", done.stdout);
    assert!(run(&["explain", "clocks"]).stdout.starts_with("Clocks\n\n"));
}

#[test]
fn what_is_no_kind_is_2_and_says_which_there_are() {
    for given in ["nonsense", "", "transports"] {
        let done = run(&["explain", given]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{given}");
        assert!(done.stderr.contains("credential-unavailable"), "{}", done.stderr);
    }
}

#[test]
fn an_error_names_the_command_that_explains_it_and_its_json_the_page() {
    for (answer, name, kind) in [
        (Answer::status(400).with_body(r#"{"message":"no"}"#), "authentication-failed", "AuthenticationFailed"),
        (Answer::captive_portal(), "protocol", "Protocol"),
    ] {
        let (_emulator, variables) = answering(Source::AppService, answer);
        let told = token(&variables, &[]).stderr;
        let (_, command) = told.split_once("\n  read on by: identity ").unwrap();
        let words: Vec<&str> = command.lines().next().unwrap().split(' ').collect();
        assert!(run(&words).stdout.contains(&format!("\n{kind}: ")), "{told}");
        let object: Value = serde_json::from_str(&token(&variables, &["-o", "json"]).stderr).unwrap();
        assert_eq!(object["help"], format!("docs/TROUBLESHOOTING.md#{name}"));
        // The last is the one that stopped the chain.
        assert_eq!(object["attempts"].as_array().unwrap().last().unwrap()["help"], object["help"]);
    }
}
