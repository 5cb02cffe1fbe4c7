//! The harness itself must be able to fail: each expectation is broken once.

use std::{collections::BTreeMap, time::Duration};

use identity_core::{
    Error, ErrorKind,
    http::{Method, Request},
};

use crate::{
    bodies::compare_xml,
    case::{Failure, Folder},
    root,
    run::{compare_failure, proofs, run},
};

pub(crate) fn load(name: &str) -> Folder {
    Folder::load(&root().join(name)).unwrap()
}

/// Runs a case with one thing changed; it must fail and say what.
pub(crate) fn fails(name: &str, says: &str, change: impl FnOnce(&mut Folder)) {
    let mut folder = load(name);
    run(&folder).unwrap();
    change(&mut folder);
    let problem = run(&folder).expect_err(says);
    assert!(problem.contains(says), "{says}: {problem}");
}

const TOKEN: &str = "app-service";
const FAILURE: &str = "app-service-400-aadsts";
const RETRIED: &str = "imds-503-until-the-end";
const ARC: &str = "arc";

#[test]
fn a_wrong_token_or_time_is_noticed() {
    fails(TOKEN, "the token is", |folder| folder.case.calls[0].token.as_mut().unwrap().secret.push('x'));
    fails(TOKEN, "the token expires", |folder| folder.case.calls[0].token.as_mut().unwrap().expires_at_secs += 1.0);
    fails(TOKEN, "the token is refreshed", |folder| {
        folder.case.calls[0].token.as_mut().unwrap().refresh_at_secs = Some(7.0);
    });
    fails(TOKEN, "took", |folder| folder.case.calls[0].takes_secs = 1.0);
    fails(TOKEN, "chose", |folder| folder.case.chosen = Some("IMDS".to_owned()));
}

#[test]
fn a_wrong_form_or_way_is_noticed() {
    const SECRET: &str = "client-secret";
    let form = |folder: &mut Folder, name: &str, value: Option<&str>| {
        let form = folder.case.requests[0].form.as_mut().unwrap();
        match value {
            Some(value) => form.insert(name.to_owned(), value.to_owned()),
            None => form.remove(name),
        };
    };
    fails(SECRET, "the form is", |folder| form(folder, "scope", Some("other")));
    fails(SECRET, "the form is", |folder| form(folder, "scope", None));
    fails(SECRET, "the form is", |folder| form(folder, "more", Some("*")));
    fails(SECRET, "proxy, roots", |folder| folder.case.requests[0].proxy = Some(false));
    fails(SECRET, "proxy, roots", |folder| folder.case.requests[0].roots = Some("x".to_owned()));
    fails(SECRET, "proxy, roots", |folder| folder.case.requests[0].server_name = Some("x".to_owned()));
    fails("refused-with-claims", "the claims are", |folder| {
        folder.case.calls[0].failure.as_mut().unwrap().claims = None;
    });
    fails("refused-7000215", "an id is", |folder| {
        folder.case.calls[0].failure.as_mut().unwrap().trace_id = Some("x".to_owned());
    });
}

#[test]
fn a_wrong_failure_is_noticed() {
    let failure = |folder: &mut Folder| folder.case.calls[0].failure.clone().unwrap();
    let with = |folder: &mut Folder, failure: Failure| folder.case.calls[0].failure = Some(failure);
    fails(FAILURE, "failed as", |folder| {
        let failure = Failure { kind: "Protocol".to_owned(), ..failure(folder) };
        with(folder, failure);
    });
    fails(FAILURE, "lacks", |folder| {
        let failure = Failure { says: vec!["never said".to_owned()], ..failure(folder) };
        with(folder, failure);
    });
    fails(FAILURE, "no word", |folder| {
        let failure = Failure { says: Vec::new(), ..failure(folder) };
        with(folder, failure);
    });
    fails(FAILURE, "status, wait, codes", |folder| {
        let failure = Failure { http_status: Some(418), ..failure(folder) };
        with(folder, failure);
    });
    fails(FAILURE, "status, wait, codes", |folder| {
        let failure = Failure { entra_codes: Vec::new(), ..failure(folder) };
        with(folder, failure);
    });
    fails(FAILURE, "expected a token", |folder| {
        folder.case.calls[0].token = load(TOKEN).case.calls[0].token.clone();
        folder.case.calls[0].failure = None;
    });
    fails(FAILURE, "was built", |folder| {
        let failure = failure(folder);
        folder.case.build = Some(failure);
    });
}

#[test]
fn a_wrong_request_is_noticed() {
    fails(TOKEN, "asked", |folder| folder.case.requests[0].url.push('x'));
    fails(TOKEN, "asked", |folder| folder.case.requests[0].method = "POST".to_owned());
    fails(TOKEN, "with headers", |folder| {
        folder.case.requests[0].headers.insert("metadata".to_owned(), "false".to_owned());
    });
    fails(TOKEN, "with headers", |folder| drop(folder.case.requests[0].headers.remove("metadata")));
    fails(TOKEN, "with headers", |folder| {
        folder.case.requests[0].headers.insert("more".to_owned(), "*".to_owned());
    });
    fails(TOKEN, "with body", |folder| folder.case.requests[0].body = Some("x".to_owned()));
    fails(TOKEN, "requests, expected 0", |folder| folder.case.requests.clear());
    fails(RETRIED, "a request at", |folder| folder.case.requests[0].at_secs[1] += 0.5);
    fails(ARC, "opened", |folder| folder.case.reads.clear());
}

#[test]
fn a_script_that_does_not_fit_is_noticed() {
    fails(TOKEN, "were not asked for", |folder| {
        let again = folder.replies[0].clone();
        folder.replies.push(again);
    });
    fails(FAILURE, "failed as", |folder| folder.replies.clear());
}

#[test]
fn what_happens_meanwhile_matters() {
    fails("workload-identity-file-rotated", "the form is", |folder| folder.case.calls[1].files.clear());
    fails("workload-identity-700024-renewed", "", |folder| folder.replies[0].files.clear());
    fails("azure-pipelines-uri-appears-later", "expected a token", |folder| folder.case.calls[1].variables.clear());
    fails("certificate", "not built", |folder| folder.case.start_day = 0);
    fails("workload-identity-file-64-kib", "a token", |folder| folder.case.filled.clear());
}

#[test]
fn files_and_ways_of_proofs_matter() {
    const FILE: &str = "workload-identity";
    fails(FILE, "files were opened: false", |folder| folder.case.calls[1].opens_files = Some(true));
    fails(FILE, "files were opened: true", |folder| folder.case.calls[0].opens_files = Some(false));
    fails(FILE, "opened", |folder| folder.case.reads.clear());
    fails(FILE, "opened", |folder| folder.case.rereads = false);
    fails("aks-proxy", "proxy, roots", |folder| folder.case.requests[0].roots = None);
    fails("aks-proxy", "proxy, roots", |folder| folder.case.requests[0].server_name = None);
    fails("aks-proxy", "proxy, roots", |folder| folder.case.requests[0].proxy = None);
    fails("azure-pipelines", "proxy, roots", |folder| folder.case.requests[0].proxy = None);
    fails("azure-pipelines", "with body", |folder| folder.case.requests[0].body = None);
}

#[test]
fn what_a_person_is_asked_for_is_noticed() {
    const REQUIRED: &str = "on-behalf-of-challenge";
    fails(REQUIRED, "the scopes are", |folder| folder.case.calls[0].failure.as_mut().unwrap().scopes.clear());
    for (name, other) in [(REQUIRED, ""), ("on-behalf-of-7000215", "Bearer error=\"invalid_token\"")] {
        fails(name, "the challenge is", |folder| {
            folder.case.calls[0].failure.as_mut().unwrap().www_authenticate = Some(other.to_owned());
        });
    }
    const USERS: &str = "on-behalf-of-two-users";
    fails(USERS, "the token is", |folder| folder.case.calls[2].user_assertion = Some("bob-SECRET-1".to_owned()));
    fails(USERS, "a user is missing", |folder| folder.case.calls[2].user_assertion = None);
    fails("on-behalf-of", "one too many", |folder| folder.case.calls[0].user_assertion = Some("other".to_owned()));
}

#[test]
fn wrong_xml_is_noticed() {
    const FEDERATED: &str = "username-password-federated";
    let xml = |folder: &mut Folder, name: &str, value: Option<&str>| {
        let xml = folder.case.requests[2].xml.as_mut().unwrap();
        match value {
            Some(value) => xml.insert(name.to_owned(), value.to_owned()),
            None => xml.remove(name),
        };
    };
    fails(FEDERATED, "the XML is", |folder| xml(folder, "Header/To", Some("https://sts.contoso.com/")));
    fails(FEDERATED, "the XML is", |folder| xml(folder, "Header/To", None));
    fails(FEDERATED, "the XML is", |folder| xml(folder, "Header/From", Some("*")));
    for (body, says) in [("<a><b>1</b><b>2</b></a>", "b was sent twice"), ("<a>", "no XML"), ("", "no XML")] {
        assert!(compare_xml(&BTreeMap::new(), body).unwrap_err().contains(says), "{body}");
    }
    let expected = BTreeMap::from([("b/c".to_owned(), "1".to_owned()), ("d".to_owned(), String::new())]);
    compare_xml(&expected, "<a><d/><b>\n<c>1</c></b></a>").unwrap();
}

#[test]
fn a_long_message_is_noticed() {
    let expected = load(FAILURE).case.calls[0].failure.clone().unwrap();
    let long = Error::new(ErrorKind::Protocol, "x".repeat(2049));
    for error in [long.clone(), Error::new(ErrorKind::Protocol, "x").with_source(long)] {
        assert!(compare_failure(&expected, &error).unwrap_err().contains("2049 bytes, 2048 are allowed"));
    }
}

#[test]
fn a_secret_that_shows_is_noticed() {
    // A word that only the error has, and one that only the log has.
    fails(FAILURE, "shows in something printed", |folder| folder.case.secrets.push("Failed of Managed".to_owned()));
    fails(TOKEN, "shows in the log", |folder| folder.case.secrets.push("managed identity source".to_owned()));
    fails(TOKEN, "the log lacks", |folder| folder.case.logs.push("never logged".to_owned()));
    // What is a secret is known without being told.
    for (name, expected) in [(TOKEN, 2), (ARC, 2), ("azure-ml", 2)] {
        assert!(load(name).secrets().len() >= expected, "{name}: {:?}", load(name).secrets());
    }
    for (name, expected) in [
        ("certificate-encrypted", "password-SECRET"),
        ("certificate-rounds-1e9", "password-SECRET"),
        ("azure-pipelines", "system-SECRET-0"),
        ("azure-pipelines", "assertion-SECRET-1"),
        ("github-actions", "request-SECRET-0"),
        ("github-actions", "assertion-SECRET-1"),
        ("github-actions-token-appears-later", "request-SECRET-1"),
        ("authorization-code-verifier", "code-SECRET-1"),
        ("authorization-code-verifier", "verifier-SECRET-1.of_43~characters-or-more-0"),
        ("on-behalf-of", "user-SECRET-1"),
        ("on-behalf-of", "refresh-SECRET-1"),
        ("on-behalf-of-two-users", "bob-SECRET-1"),
        ("username-password", "password-SECRET-1"),
        ("workload-identity", "assertion-SECRET-1"),
        ("workload-identity-file-bom", "assertion-SECRET-1"),
        ("workload-identity-file-rotated", "assertion-SECRET-2"),
        ("workload-identity-700024-renewed", "assertion-SECRET-2"),
    ] {
        assert!(load(name).secrets().iter().any(|secret| secret == expected), "{name}: {:?}", load(name).secrets());
    }
    // The lines of keys are, and the marks around them are not.
    let lines = load("certificate").secrets();
    assert!(lines.iter().filter(|line| line.len() == 64).count() > 20, "{lines:?}");
    assert!(lines.iter().all(|line| !line.starts_with("-----")), "{lines:?}");
    // What was sent is known from the requests.
    let mut request = Request::new(Method::Post, "https://x/").header("authorization", "Bearer hush-1");
    request.body = Some("client_id=x&client_assertion=head.hush-2.hush-3".into());
    assert_eq!(proofs(&[(Duration::ZERO, request.clone())]), ["hush-1", "head.hush-2.hush-3", "hush-2", "hush-3"]);
    request.body = Some("assertion=of-a-user&scope=x".into());
    assert_eq!(proofs(&[(Duration::ZERO, request)]), ["hush-1", "of-a-user"]);
}
