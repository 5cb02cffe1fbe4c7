//! People, who sign in with a browser.

use std::fs;

use identity_emulator::{
    AZURE_CLI_CLIENT_ID, Answer, MFA_USER_NAME, OTHER_TENANT_ID, OTHER_USER_NAME, SUBSCRIPTION_ID, Source, TENANT_ID,
    USER_NAME, USER_OBJECT_ID,
};
use serde_json::json;

use super::{NOBODY, Session, VAULT, agrees, refuses_what_is_not_there};
use crate::installed::text;

const STORAGE: &str = "https://storage.azure.com/.default";

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn az_gets_tokens_for_a_person() {
    let Some(session) = Session::start("az-people") else { return };
    session.login_user(USER_NAME);
    let emulator = session.emulator();
    let check = |more: &[&str], audience: &str, subscription: Option<&str>| {
        let printed = session.token(more);
        let claims = session.claims(&printed, audience, TENANT_ID);
        assert_eq!(claims["appid"], AZURE_CLI_CLIENT_ID);
        assert_eq!((&claims["oid"], &claims["upn"]), (&USER_OBJECT_ID.into(), &USER_NAME.into()));
        assert_eq!((&claims["scp"], &claims["amr"]), (&"user_impersonation".into(), &json!(["pwd"])));
        agrees(&printed, &claims, subscription);
        printed["accessToken"].as_str().unwrap().to_owned()
    };
    check(&[], "https://management.core.windows.net/", Some(SUBSCRIPTION_ID));
    // What the sign-in for one resource brought is good for others.
    let vault = check(&["--scope", VAULT], "https://vault.azure.net", Some(SUBSCRIPTION_ID));
    check(&["--tenant", TENANT_ID, "--scope", VAULT], "https://vault.azure.net", None);
    let requests = emulator.requests();
    let forms = |name: &str| requests.iter().filter_map(|one| one.form_value(name)).collect::<Vec<String>>();
    // One for each resource, and one more for the tenant, which az learns of only then.
    assert_eq!(forms("grant_type"), ["authorization_code", "refresh_token", "refresh_token"]);
    assert!(requests.iter().all(|one| one.status() == Some(200)), "{requests:?}");
    let asked = requests.iter().find(|one| one.path().ends_with("/authorize")).unwrap();
    let asks = |name: &str| asked.query_value(name).unwrap_or_default();
    assert_eq!((asks("response_mode"), asks("code_challenge_method")), ("form_post", "S256"));
    assert!(asks("redirect_uri").starts_with("http://localhost:") && !asks("nonce").is_empty());
    assert_eq!(asks("scope"), "https://management.core.windows.net//.default offline_access openid profile");

    refuses_what_is_not_there(&session, &vault);
    let not_there = ["--tenant", OTHER_TENANT_ID, "--scope", VAULT];
    session.refuses_a_token(&not_there, &["ERROR: AADSTS50020: ", "az logout\naz login --tenant \"", OTHER_TENANT_ID]);
    session.logout();
    session.refuses_a_token(&["--scope", VAULT], &[NOBODY]);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn az_says_why_a_person_has_to_sign_in_again() {
    let Some(session) = Session::start("az-people-refused") else { return };
    session.login_user(USER_NAME);
    let emulator = session.emulator();
    let vault = session.token(&["--scope", VAULT]);
    let refuses = |code: &str| {
        let advice = "Run the command below to authenticate interactively";
        let again = format!("az logout\naz login --tenant \"{TENANT_ID}\" --scope \"{STORAGE}\"\n");
        session.refuses_a_token(&["--scope", STORAGE], &[&format!("ERROR: AADSTS{code}: "), advice, &again]);
    };
    // The refusal has claims for whoever can make use of them; az cannot.
    emulator.faults().next(Source::Entra, Answer::entra_error(50076).at("/token"));
    refuses("50076");
    session.require_mfa();
    refuses("50076");
    session.expire_refresh_tokens();
    refuses("700082");
    emulator.revoke_refresh_tokens(Some(USER_NAME)).unwrap();
    refuses("50173");
    // The advice is no other than that for anything else.
    emulator.faults().always(Source::Entra, Answer::entra_error(90055).at("/token"));
    refuses("90055");
    emulator.faults().clear();
    assert_eq!(session.token(&["--scope", VAULT])["accessToken"], vault["accessToken"], "what it has is good still");
    // Those of a sign-in with a second factor are good again.
    session.login_user(USER_NAME);
    assert!(
        session.diary().lines().filter(|line| line.starts_with("POST https://")).count() == 3,
        "{}",
        session.diary()
    );
    let storage = session.token(&["--scope", STORAGE]);
    let claims = session.claims(&storage, "https://storage.azure.com", TENANT_ID);
    assert_eq!(claims["amr"], json!(["pwd", "mfa"]));

    fs::remove_file(session.config().join("msal_token_cache.json")).unwrap();
    let lost = format!("ERROR: User '{USER_NAME}' does not exist in MSAL token cache. Run `az login`.\n");
    session.refuses_a_token(&["--scope", STORAGE], &[&lost]);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn az_shows_people_what_is_of_their_tenant() {
    let Some(session) = Session::start("az-people-others") else { return };
    session.login_user(MFA_USER_NAME);
    session.token(&["--scope", VAULT]);
    let output = session.try_login_user(OTHER_USER_NAME, &[]);
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("No subscriptions found for edith@"), "{told}");
    let output = session.try_login_user(OTHER_USER_NAME, &["--allow-no-subscriptions"]);
    assert!(output.status.success(), "{output:?}");
    let printed = session.token(&["--scope", VAULT]);
    let claims = session.claims(&printed, "https://vault.azure.net", OTHER_TENANT_ID);
    assert_eq!((&claims["upn"], &claims["tid"]), (&OTHER_USER_NAME.into(), &OTHER_TENANT_ID.into()));
    // A tenant without any stands for a subscription.
    agrees(&printed, &claims, Some(OTHER_TENANT_ID));
}
