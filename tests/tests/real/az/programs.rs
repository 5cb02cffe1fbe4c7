//! Service principals.

use identity_emulator::{
    Answer, App, SUBSCRIPTION_ID, SUBSCRIPTION_NAME, Source, TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};
use serde_json::Value;

use super::{NOBODY, SECOND_SUBSCRIPTION, SECOND_SUBSCRIPTION_NAME, Session, VAULT, agrees, refuses_what_is_not_there};

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn az_gets_tokens_for_a_service_principal() {
    let Some(session) = Session::start("az-programs") else { return };
    session.login_service_principal();
    let emulator = session.emulator();
    let check = |more: &[&str], audience: &str, subscription: Option<&str>| {
        let printed = session.token(more);
        let claims = session.claims(&printed, audience, TENANT_ID);
        assert_eq!((&claims["appid"], &claims["idtyp"]), (&WEB_CLIENT_ID.into(), &"app".into()));
        agrees(&printed, &claims, subscription);
        printed["accessToken"].as_str().unwrap().to_owned()
    };
    check(&[], "https://management.core.windows.net/", Some(SUBSCRIPTION_ID));
    let vault = check(&["--scope", VAULT], "https://vault.azure.net", Some(SUBSCRIPTION_ID));
    check(&["--resource", "https://storage.azure.com"], "https://storage.azure.com", Some(SUBSCRIPTION_ID));
    check(&["--tenant", TENANT_ID, "--scope", VAULT], "https://vault.azure.net", None);
    for name in [SECOND_SUBSCRIPTION, SECOND_SUBSCRIPTION_NAME] {
        check(&["--subscription", name, "--scope", VAULT], "https://vault.azure.net", Some(SECOND_SUBSCRIPTION));
    }
    let listed: Value = serde_json::from_slice(&session.does(&["account", "list", "--output", "json"])).unwrap();
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, [SUBSCRIPTION_NAME, SECOND_SUBSCRIPTION_NAME]);
    let requests = emulator.requests();
    let count = |end: &str| requests.iter().filter(|one| one.path().ends_with(end)).count();
    // One for each resource: the rest comes from what az keeps.
    assert_eq!((count("/token"), count("/subscriptions")), (3, 1));
    assert!(requests.iter().all(|one| one.status() == Some(200)), "{requests:?}");

    refuses_what_is_not_there(&session, &vault);
    session.logout();
    session.refuses_a_token(&["--scope", VAULT], &[NOBODY]);
    assert!(!session.config().join("telemetry").exists(), "nobody is told what az does");
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn az_says_why_a_service_principal_gets_no_token() {
    let Some(session) = Session::start("az-programs-refused") else { return };
    let unknown = "0fedcba9-0000-4000-8000-0000000000ff";
    for (id, secret, tenant, words) in [
        (WEB_CLIENT_ID, "wrong", TENANT_ID, &["ERROR: AADSTS7000215: "][..]),
        (unknown, WEB_CLIENT_SECRET, TENANT_ID, &["ERROR: AADSTS700016: ", "az login"]),
        (
            WEB_CLIENT_ID,
            WEB_CLIENT_SECRET,
            unknown,
            &["ERROR: The command failed with an unexpected error.", "Unable to get authority configuration for "],
        ),
    ] {
        session.refuses(
            &["login", "--service-principal", "--username", id, "--password", secret, "--tenant", tenant],
            words,
        );
    }
    session.login_service_principal();
    let emulator = session.emulator();
    let vault = session.token(&["--scope", VAULT]);
    // Somebody has given the application another secret.
    emulator.put_app(App::new(WEB_CLIENT_ID).name("web").secret("another")).unwrap();
    let storage = ["--scope", "https://storage.azure.com/.default"];
    session.refuses_a_token(&storage, &["ERROR: AADSTS7000215: ", "Invalid client secret provided."]);
    assert_eq!(session.token(&["--scope", VAULT])["accessToken"], vault["accessToken"]);
    emulator.put_app(App::new(WEB_CLIENT_ID).name("web").secret(WEB_CLIENT_SECRET)).unwrap();

    emulator.faults().always(Source::Entra, Answer::entra_error(90055).at("/token"));
    session.refuses_a_token(&storage, &["ERROR: AADSTS90055: ", "az login"]);
    // As the service refuses applications that ask again and again.
    let busy = Answer::status(429).with_header("Retry-After", "60").with_header("Content-Type", "text/plain");
    emulator.faults().always(Source::Entra, busy.with_body("Too Many Requests").at("/token"));
    let failed = "ERROR: The command failed with an unexpected error. Here is the traceback:\n";
    session.refuses_a_token(&storage, &[failed, "ERROR: Expecting value: ", "json.decoder.JSONDecodeError"]);
    emulator.faults().always(Source::Entra, Answer::refuse());
    session.refuses_a_token(&storage, &[failed, "Traceback"]);
    emulator.faults().clear();
    session.forget_refusals();
    assert!(session.token(&storage)["accessToken"].is_string(), "all is well again");
}
