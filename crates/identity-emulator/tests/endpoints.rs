//! Each source gives tokens to those who ask properly, and refuses everybody else as the real one does.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use common::{Response, STORAGE, builder, send, variable};
use identity_emulator::{
    BLUE_CLIENT_ID, BLUE_OBJECT_ID, BLUE_RESOURCE_ID, Emulator, GREEN_CLIENT_ID, GREEN_OBJECT_ID, Identity,
    SYSTEM_CLIENT_ID, Source,
};

/// What a row changes about a good request.
#[derive(Clone, Copy)]
enum Change {
    /// Nothing.
    None,
    /// Another method.
    Method(&'static str),
    /// Another path.
    Path(&'static str),
    /// Another query, from scratch.
    Query(&'static str),
    /// More at the end of the query.
    More(&'static str),
    /// Without that header.
    Without(&'static str),
    /// With another value of that header, or with one more header.
    With(&'static str, &'static str),
    /// With a second header of that name.
    Twice(&'static str, &'static str),
}

fn ask(emulator: &Emulator, source: Source, change: Change) -> Response {
    let secret = |name| variable(emulator, source, name);
    let (path, version, header) = match source {
        Source::Imds => ("/metadata/identity/oauth2/token", "2018-02-01", ("Metadata", "true".to_owned())),
        Source::AppService => ("/msi/token", "2019-08-01", ("X-IDENTITY-HEADER", secret("IDENTITY_HEADER"))),
        Source::ServiceFabric => panic!("tested over TLS"),
        Source::AzureMl => ("/msi/token", "2017-09-01", ("secret", secret("MSI_SECRET"))),
        Source::AzureArc => ("/metadata/identity/oauth2/token", "2020-06-01", ("Metadata", "true".to_owned())),
        other => panic!("{other} is asked otherwise"),
    };
    let mut method = "GET";
    let mut query = format!("api-version={version}&{STORAGE}");
    let mut path = path;
    let mut headers = vec![header];
    match change {
        Change::None => {}
        Change::Method(other) => method = other,
        Change::Path(other) => path = other,
        Change::Query(other) => query = other.to_owned(),
        Change::More(more) => query.push_str(more),
        Change::Without(name) => headers.retain(|(other, _)| *other != name),
        Change::With(name, value) => {
            headers.retain(|(other, _)| *other != name);
            headers.push((name, value.to_owned()));
        }
        Change::Twice(name, value) => headers.push((name, value.to_owned())),
    }
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    send(emulator.address(source), method, &format!("{path}?{query}"), &headers, "")
}

/// Asks for each row and compares the status and a part of the body.
fn check(source: Source, rows: &[(Change, u16, &str)]) {
    let emulator = builder().start_in_background().unwrap();
    for (number, (change, status, part)) in rows.iter().enumerate() {
        let response = ask(&emulator, source, *change);
        assert_eq!(response.status, *status, "{source}, row {number}: {response:?}");
        assert!(response.text().contains(part), "{source}, row {number}: {response:?}");
        assert!(response.header("content-type").is_some_and(|value| value.starts_with("application/json")));
    }
    let recorded = emulator.requests();
    assert_eq!(recorded.len(), rows.len());
    for (request, (_, status, _)) in recorded.iter().zip(rows) {
        assert_eq!(request.status(), Some(*status));
    }
}

#[test]
fn imds_is_strict() {
    check(
        Source::Imds,
        &[
            (Change::None, 200, "\"access_token\""),
            (Change::With("Metadata", "True"), 200, "\"access_token\""),
            (Change::Path("/metadata/identity/oauth2/token/"), 200, "\"access_token\""),
            (Change::Query("api-version=2019-08-01&resource=https://vault.azure.net"), 200, "\"access_token\""),
            (Change::Without("Metadata"), 400, "Required metadata header not specified"),
            (Change::With("Metadata", "false"), 400, "Required metadata header not specified"),
            (Change::Twice("Metadata", "true"), 400, "Required metadata header not specified"),
            (Change::With("X-Forwarded-For", "1.2.3.4"), 400, "X-Forwarded-For"),
            (Change::Method("POST"), 405, "method_not_allowed"),
            (Change::Path("/metadata/identity/oauth2/tokens"), 404, "not_found"),
            (Change::Path("/metadata/identity/oauth2/token//"), 404, "not_found"),
            (Change::Query("api-version=2018-02-01"), 400, "'resource' is missing"),
            (Change::Query("api-version=2018-02-01&resource="), 400, "'resource' is empty"),
            (Change::Query("resource=https://vault.azure.net"), 400, "'api-version' is missing"),
            (Change::Query("api-version=2018-02-02&resource=https://vault.azure.net"), 400, "not supported"),
            (Change::Query("api-version=2018-02-01&Resource=https://vault.azure.net"), 400, "'resource' is missing"),
            (Change::Query("api-version=2018-02-01&resource=https://vault.azure.net/.default"), 400, "AADSTS500011"),
            (Change::Query("api-version=2018-02-01&resource=https://unknown.example"), 400, "invalid_resource"),
            (Change::Query("api-version=2018-02-01&resource=%zz"), 400, "cannot be decoded"),
            (Change::More("&api-version=2018-02-01"), 400, "given twice"),
            (Change::More("&resource=https://vault.azure.net"), 400, "given twice"),
            (Change::More("&client_id=7e57ab1e-0000-4000-8000-00000000dead"), 400, "\"Identity not found\""),
            (Change::More("&client_id="), 400, "is empty"),
            (Change::More("&client_id=a&client_id=b"), 400, "given twice"),
            (Change::More("&client_id=a&object_id=b"), 400, "Only one"),
        ],
    );
}

#[test]
fn app_service_is_strict() {
    check(
        Source::AppService,
        &[
            (Change::None, 200, "\"access_token\""),
            (Change::Without("X-IDENTITY-HEADER"), 401, "\"statusCode\":401"),
            (Change::With("X-IDENTITY-HEADER", "guess"), 401, "\"message\""),
            (Change::Twice("X-IDENTITY-HEADER", "guess"), 401, "\"message\""),
            (Change::Method("POST"), 405, "\"statusCode\":405"),
            (Change::Path("/msi/token/"), 404, "\"statusCode\":404"),
            (Change::Query("api-version=2017-09-01&resource=https://vault.azure.net"), 400, "not supported"),
            (Change::Query("api-version=2019-08-01"), 400, "'resource' is missing"),
            (Change::Query("api-version=2019-08-01&resource=https://unknown.example"), 400, "AADSTS500011"),
            (Change::More("&mi_res_id=/subscriptions/x"), 400, "No User Assigned or Delegated Managed Identity"),
            (Change::More("&principal_id=a&object_id=b"), 400, "Only one"),
        ],
    );
}

#[test]
fn azure_ml_is_strict() {
    check(
        Source::AzureMl,
        &[
            (Change::None, 200, "\"access_token\""),
            (Change::Without("secret"), 401, "\"statusCode\":401"),
            (Change::With("secret", "guess"), 401, "\"statusCode\":401"),
            (Change::Query("api-version=2019-08-01&resource=https://vault.azure.net"), 400, "not supported"),
            (Change::More("&clientid=guess"), 400, "Identity not found"),
            (Change::Query("api-version=2017-09-01&resource=api://unknown"), 400, "AADSTS500011"),
        ],
    );
}

#[test]
fn azure_arc_challenges_only_proper_requests() {
    check(
        Source::AzureArc,
        &[
            (Change::None, 401, "unauthorized"),
            (Change::With("Authorization", "Basic guess"), 401, "unauthorized"),
            (Change::Without("Metadata"), 400, "Required metadata header"),
            (Change::Query("api-version=2018-02-01&resource=https://vault.azure.net"), 400, "not supported"),
            (Change::Query("api-version=2021-02-01&resource=https://vault.azure.net"), 401, "unauthorized"),
            (Change::More("&msi_res_id=/guess"), 400, "Identity not found"),
            (Change::Query("api-version=2020-06-01&resource=https://unknown.example"), 400, "AADSTS500011"),
        ],
    );
}

#[test]
fn cloud_shell_is_strict() {
    let emulator = builder().start_in_background().unwrap();
    let form = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    let metadata = ("Metadata", "true");
    let good = STORAGE;
    for (method, path, headers, body, status, part) in [
        ("POST", "/oauth2/token", vec![form, metadata], good, 200, "\"access_token\""),
        ("GET", "/oauth2/token", vec![metadata], "", 405, "\"error\""),
        ("POST", "/oauth2", vec![form, metadata], good, 404, "\"error\""),
        ("POST", "/oauth2/token", vec![form], good, 400, "metadata header"),
        ("POST", "/oauth2/token", vec![metadata], good, 400, "must be a form"),
        ("POST", "/oauth2/token", vec![("Content-Type", "application/json"), metadata], good, 400, "must be a form"),
        ("POST", "/oauth2/token", vec![form, metadata], "", 400, "'resource' is missing"),
        ("POST", "/oauth2/token", vec![form, metadata], "resource=%ff", 400, "cannot be decoded"),
        ("POST", "/oauth2/token", vec![form, metadata], "resource=a&resource=b", 400, "given twice"),
        ("POST", "/oauth2/token", vec![form, metadata], "resource=https://unknown.example", 400, "AADSTS500011"),
        ("POST", &format!("/oauth2/token?{good}"), vec![form, metadata], "", 400, "'resource' is missing"),
    ] {
        let response = send(emulator.address(Source::CloudShell), method, path, &headers, body);
        assert_eq!(response.status, status, "{method} {path} {headers:?} {body}: {response:?}");
        assert!(response.text().contains(part), "{response:?}");
    }
    assert_eq!(emulator.requests()[0].form(), [("resource".to_owned(), "https://storage.azure.com/".to_owned())]);
}

#[test]
fn each_selector_has_its_own_name() {
    let emulator = builder().start_in_background().unwrap();
    for (source, selector, client_id) in [
        (Source::Imds, format!("client_id={BLUE_CLIENT_ID}"), BLUE_CLIENT_ID),
        (Source::Imds, format!("client_id={}", GREEN_CLIENT_ID.to_uppercase()), GREEN_CLIENT_ID),
        (Source::Imds, format!("object_id={GREEN_OBJECT_ID}"), GREEN_CLIENT_ID),
        (Source::Imds, format!("msi_res_id={BLUE_RESOURCE_ID}"), BLUE_CLIENT_ID),
        (Source::Imds, format!("client_id={SYSTEM_CLIENT_ID}"), SYSTEM_CLIENT_ID),
        // The services ignore names that they do not know: the machine's own identity answers.
        (Source::Imds, format!("mi_res_id={BLUE_RESOURCE_ID}"), SYSTEM_CLIENT_ID),
        (Source::Imds, format!("resource_id={BLUE_RESOURCE_ID}"), SYSTEM_CLIENT_ID),
        (Source::Imds, format!("clientid={BLUE_CLIENT_ID}"), SYSTEM_CLIENT_ID),
        (Source::Imds, format!("Client_Id={BLUE_CLIENT_ID}"), SYSTEM_CLIENT_ID),
        (Source::AppService, format!("client_id={BLUE_CLIENT_ID}"), BLUE_CLIENT_ID),
        (Source::AppService, format!("object_id={BLUE_OBJECT_ID}"), BLUE_CLIENT_ID),
        (Source::AppService, format!("principal_id={BLUE_OBJECT_ID}"), BLUE_CLIENT_ID),
        (Source::AppService, format!("mi_res_id={BLUE_RESOURCE_ID}"), BLUE_CLIENT_ID),
        (Source::AppService, format!("msi_res_id={BLUE_RESOURCE_ID}"), SYSTEM_CLIENT_ID),
        (Source::AzureMl, format!("clientid={BLUE_CLIENT_ID}"), BLUE_CLIENT_ID),
        (Source::AzureMl, format!("client_id={BLUE_CLIENT_ID}"), SYSTEM_CLIENT_ID),
        (Source::AzureMl, format!("object_id={BLUE_OBJECT_ID}"), SYSTEM_CLIENT_ID),
    ] {
        let more: &'static str = Box::leak(format!("&{selector}").into_boxed_str());
        let response = ask(&emulator, source, Change::More(more));
        assert_eq!(response.claims()["appid"], client_id, "{source} {selector}");
    }
}

#[test]
fn each_source_has_its_own_fields() {
    let emulator = builder().start_in_background().unwrap();
    let json = ask(&emulator, Source::Imds, Change::None).json();
    for name in ["expires_in", "expires_on", "ext_expires_in", "not_before", "resource", "client_id"] {
        assert!(json[name].is_string(), "{name} in {json}");
    }
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["resource"], "https://storage.azure.com/");
    assert_eq!(json["expires_in"], "86400");

    let json = ask(&emulator, Source::AppService, Change::None).json();
    assert!(json["expires_on"].is_string() && json["expires_in"].is_null(), "{json}");
    assert_eq!(json["client_id"], SYSTEM_CLIENT_ID.to_uppercase());

    let json = ask(&emulator, Source::AzureMl, Change::None).json();
    assert!(json["expires_on"].is_string() && json["expires_in"].is_null(), "{json}");
}

#[test]
fn without_a_system_identity_the_only_other_one_answers() {
    let blue = Identity::new(BLUE_CLIENT_ID, BLUE_OBJECT_ID, BLUE_RESOURCE_ID);
    let one = builder().no_system_identity().user_assigned([blue]).start_in_background().unwrap();
    assert_eq!(ask(&one, Source::Imds, Change::None).claims()["appid"], BLUE_CLIENT_ID);
    assert_eq!(one.system_assigned(), None);

    let two = builder().no_system_identity().start_in_background().unwrap();
    let refused = ask(&two, Source::Imds, Change::None);
    assert!(refused.status == 400 && refused.text().contains("Multiple user assigned identities"), "{refused:?}");

    let none = builder().no_system_identity().user_assigned([]).start_in_background().unwrap();
    let refused = ask(&none, Source::Imds, Change::None);
    assert!(refused.status == 400 && refused.text().contains("Identity not found"), "{refused:?}");
}

#[test]
fn resources_can_be_made_known() {
    let emulator = builder().allow_resource("api://mine").start_in_background().unwrap();
    let query = Change::Query("api-version=2018-02-01&resource=api%3A%2F%2Fmine");
    assert_eq!(ask(&emulator, Source::Imds, query).claims()["aud"], "api://mine");
    let other = Change::Query("api-version=2018-02-01&resource=api%3A%2F%2Fother");
    assert_eq!(ask(&emulator, Source::Imds, other).status, 400);

    let emulator = builder().allow_any_resource().start_in_background().unwrap();
    assert_eq!(ask(&emulator, Source::Imds, other).claims()["aud"], "api://other");
}

#[test]
fn instance_metadata_is_served() {
    let emulator = builder().start_in_background().unwrap();
    let address = emulator.address(Source::Imds);
    let metadata = [("Metadata", "true")];
    let compute = send(address, "GET", "/metadata/instance/compute?api-version=2021-02-01&format=json", &metadata, "");
    assert_eq!(compute.json()["azEnvironment"], "AzurePublicCloud");
    let path = "/metadata/instance/compute/location?format=text&api-version=2021-01-01";
    let location = send(address, "GET", path, &metadata, "");
    assert_eq!((location.status, location.text().as_str()), (200, "westeurope"));
    for (path, headers, status) in [
        (path, &[][..], 400),
        ("/metadata/instance/compute", &metadata, 400),
        ("/metadata/instance/compute/location?api-version=2021-01-01", &metadata, 400),
        ("/metadata/instance/compute/x?api-version=2021-01-01", &metadata, 404),
        ("/metadata/instance", &metadata, 404),
    ] {
        assert_eq!(send(address, "GET", path, headers, "").status, status, "{path}");
    }
}
