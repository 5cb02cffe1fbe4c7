//! The same for chains and for tools.

use crate::{
    case::Case,
    self_test::{fails, load},
    tools::Tools,
};

const WINS: &str = "default-third-tool";
const STOPS: &str = "default-environment-refused";

#[test]
fn a_wrong_winner_is_noticed() {
    fails(WINS, "the winner is", |folder| folder.case.calls[0].winner = Some("AzureCliCredential".to_owned()));
    fails(WINS, "the winner is", |folder| folder.case.calls[0].winner = None);
    fails(STOPS, "the winner is None", |folder| folder.case.calls[0].winner = Some("AzureCliCredential".to_owned()));
    fails(WINS, "the token is of", |folder| {
        folder.case.calls[0].token.as_mut().unwrap().credential = Some("AzureCliCredential".to_owned());
    });
    fails("environment-secret", "chose ClientSecretCredential", |folder| folder.case.chosen = Some(String::new()));
    fails("default-variable-prod", "left out are", |folder| {
        folder.case.left_out.as_mut().unwrap().remove("BrokerCredential");
    });
    fails("default-variable-prod", "left out are", |folder| {
        folder.case.left_out.as_mut().unwrap().insert("BrokerCredential".to_owned(), "never said".to_owned());
    });
}

#[test]
fn a_wrong_attempt_is_noticed() {
    let attempts = |case: &mut Case| std::mem::take(&mut case.calls[0].failure.as_mut().unwrap().attempts);
    fails(STOPS, "attempts are", |folder| drop(attempts(&mut folder.case)));
    fails("default-nothing", "attempts are", |folder| {
        let mut all = attempts(&mut folder.case);
        all.swap(0, 1);
        folder.case.calls[0].failure.as_mut().unwrap().attempts = all;
    });
    fails(STOPS, "attempts are", |folder| {
        folder.case.calls[0].failure.as_mut().unwrap().attempts[0].1 = "CredentialUnavailable".to_owned();
    });
}

#[test]
fn a_wrong_run_is_noticed() {
    fails(WINS, "runs, expected 2", |folder| drop(folder.case.runs.pop()));
    fails(WINS, "ran", |folder| folder.case.runs[0].args[0].push('x'));
    fails(WINS, "ran", |folder| drop(folder.case.runs[0].args.pop()));
    fails(WINS, "ran", |folder| folder.case.runs[0].variables.clear());
    fails(WINS, "ran", |folder| folder.case.runs[0].timeout_secs = 9.0);
    fails(WINS, "ran", |folder| folder.case.runs.swap(0, 1));
    fails(WINS, "a run at", |folder| folder.case.runs[2].at_secs[0] += 0.5);
    fails(WINS, "runs did not happen", |folder| {
        let again = folder.tools.runs[0].clone();
        folder.tools.runs.push(again);
    });
    // Nobody plays the last tool.
    fails(WINS, "expected a token", |folder| drop(folder.tools.runs.pop()));
    fails(WINS, "expected a token", |folder| folder.tools.programs.retain(|program| !program.ends_with("azd")));
    fails("default-azure-cli-takes-too-long", "the token is of", |folder| folder.tools.runs[0].takes_secs = 0.5);
}

#[test]
fn secrets_of_variables_and_tools_are_known() {
    for (name, expected) in [
        ("default-azure-cli", "token-SECRET-1"),
        ("default-azure-developer-cli", "token-SECRET-1"),
        ("default-powershell", "token-SECRET-1"),
        ("default-environment-secret", "value-SECRET-0"),
        ("default-environment-password", "password-SECRET-1"),
        ("default-secrets-of-tools", "pfx-SECRET-1"),
        ("default-secrets-of-tools", "token-SECRET-7"),
        ("default-secrets-of-tools", "token-SECRET-8"),
    ] {
        assert!(load(name).secrets().iter().any(|secret| secret == expected), "{name}: {:?}", load(name).secrets());
    }
    assert_eq!(Tools::default().secrets(), Vec::<String>::new());
    // What a tool says is shown, so that a secret in it would be, too.
    fails("default-azure-cli-refused-alone", "shows in the log", |folder| {
        folder.tools.runs[0].stderr.insert_str("ERROR: ".len(), "x-SECRET-y ");
    });
}
