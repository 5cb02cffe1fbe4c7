//! The directory file can be written, edited while the emulator runs, and repaired.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use common::{builder, control, fields, refusal, token, variable};
use identity_emulator::{
    App, Emulator, KUBERNETES_ISSUER, KUBERNETES_SUBJECT, OTHER_TENANT_ID, Source, TENANT_DOMAIN, TENANT_ID,
    TEST_CERTIFICATE_PEM, Tenant, User, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};
use serde_json::json;

const HOME: &str = "0fedcba9-0000-4000-8000-000000000001";
const CLIENT: &str = "0fedcba9-0000-4000-8000-000000000002";

fn status(emulator: &Emulator, tenant: &str, client_id: &str, secret: &str, scope: &str) -> (u16, u64) {
    let fields =
        [("client_id", client_id), ("client_secret", secret), ("grant_type", "client_credentials"), ("scope", scope)];
    refusal(&token(emulator, tenant, &fields))
}

fn file(text: &str) -> PathBuf {
    let directory = common::directory();
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("directory.toml");
    fs::write(&path, text).unwrap();
    path
}

fn text(secret: &str) -> String {
    format!(
        "resources = [\"api://mine\"]\n[[tenants]]\nid = \"{HOME}\"\ndomains = [\"home.example\"]\n\
         [[apps]]\nclient_id = \"{CLIENT}\"\nsecrets = [{{ value = \"{secret}\" }}]\n"
    )
}

#[test]
fn the_file_takes_the_place_of_what_is_built_in() {
    let path = file(&text("one"));
    let emulator = builder().directory(&path).start_in_background().unwrap();
    assert_eq!(emulator.tenant_id(), HOME);
    assert_eq!(common::imds(&emulator).claims()["tid"], HOME);
    assert_eq!(status(&emulator, "home.example", CLIENT, "one", "api://mine/.default"), (200, 0));
    assert_eq!(status(&emulator, TENANT_ID, CLIENT, "one", "api://mine/.default"), (400, 90_002));
    assert_eq!(status(&emulator, HOME, WEB_CLIENT_ID, WEB_CLIENT_SECRET, "api://mine/.default"), (400, 700_016));
    let get = |name: &str| variable(&emulator, Source::Entra, name);
    assert_eq!((get("AZURE_CLIENT_ID"), get("AZURE_CLIENT_SECRET")), (CLIENT.to_owned(), "one".to_owned()));
}

#[test]
fn edits_count_at_once_and_mistakes_are_named_until_they_are_repaired() {
    let path = file(&text("one"));
    let kept = "0fedcba9-0000-4000-8000-000000000003";
    let emulator = builder().directory(&path).start_in_background().unwrap();
    emulator.put_app(App::new(kept).secret("kept")).unwrap();
    let ask = |secret: &str| status(&emulator, HOME, CLIENT, secret, "https://vault.azure.net/.default").0;
    assert_eq!((ask("one"), ask("second")), (200, 401));
    fs::write(&path, text("second")).unwrap();
    assert_eq!((ask("one"), ask("second")), (401, 200));
    fs::write(&path, format!("{}nonsense = 1\n", text("second"))).unwrap();
    let told = token(&emulator, HOME, &fields(&[("client_id", CLIENT), ("client_secret", "second")]));
    assert!(told.status == 500 && !told.text().contains("nonsense"), "{}", told.text());
    assert!(told.text().contains("see what the emulator says"), "{}", told.text());
    let error = emulator.directory_error().unwrap();
    assert!(error.contains("directory.toml: line 8: unknown field `nonsense`"), "{error}");
    assert_eq!(control(&emulator, "GET", "/__emulator/entra", "").json()["directory_error"], error);
    fs::remove_file(&path).unwrap();
    assert_eq!(ask("second"), 500);
    fs::write(&path, text("third")).unwrap();
    assert_eq!((emulator.directory_error(), ask("third")), (None, 200));
    assert_eq!(status(&emulator, HOME, kept, "kept", "https://vault.azure.net/.default").0, 200);
}

#[test]
fn a_file_that_is_being_saved_is_not_a_mistake() {
    let path = file(&text("one"));
    let emulator = builder().directory(&path).start_in_background().unwrap();
    let ask = |secret: &str| status(&emulator, HOME, CLIENT, secret, "https://vault.azure.net/.default").0;
    fs::write(&path, "").unwrap();
    let saving = thread::spawn({
        let path = path.clone();
        move || {
            thread::sleep(Duration::from_millis(1));
            fs::write(path, text("second")).unwrap();
        }
    });
    assert_eq!(ask("second"), 200);
    saving.join().unwrap();
    fs::write(&path, "").unwrap();
    assert_eq!(ask("second"), 500);
}

#[test]
fn another_file_of_the_same_size_and_time_counts_too() {
    let path = file(&text("one"));
    let emulator = builder().directory(&path).start_in_background().unwrap();
    let ask = |secret: &str| status(&emulator, HOME, CLIENT, secret, "https://vault.azure.net/.default").0;
    assert_eq!((ask("one"), ask("two")), (200, 401));
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let other = path.with_extension("other");
    fs::write(&other, text("two")).unwrap();
    fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!((ask("one"), ask("two")), (401, 200));
}

#[test]
fn the_home_tenant_stays_until_the_end() {
    let path = file(&text("one"));
    let emulator = builder().directory(&path).start_in_background().unwrap();
    fs::write(&path, text("one").replace(HOME, TENANT_ID)).unwrap();
    let error = emulator.directory_error().unwrap();
    assert!(error.contains(HOME) && error.contains("directory.toml"), "{error}");
    assert_eq!((emulator.tenant_id(), &common::imds(&emulator).claims()["tid"]), (HOME, &HOME.into()));
    fs::write(&path, format!("[[tenants]]\nid = \"{TENANT_ID}\"\n")).unwrap();
    assert!(emulator.directory_error().is_some());
    fs::write(&path, text("one")).unwrap();
    assert_eq!(emulator.directory_error(), None);
}

#[test]
fn roles_are_in_tokens_for_their_resource_if_there_is_consent() {
    let id = "7e57ab1e-0000-4000-8000-00000000aa01";
    let app = || App::new(id).secret("s").role("https://graph.microsoft.com", "User.Read.All").role("api://mine", "Do");
    let emulator = builder().app(app()).allow_resource("api://mine").start_in_background().unwrap();
    let claims = |scope: &str| {
        token(&emulator, TENANT_ID, &fields(&[("client_id", id), ("client_secret", "s"), ("scope", scope)])).claims()
    };
    assert_eq!(claims("https://graph.microsoft.com//.default")["roles"], json!(["User.Read.All"]));
    assert_eq!(claims("api://mine/.default")["roles"], json!(["Do"]));
    assert_eq!(claims("https://vault.azure.net/.default").get("roles"), None);
    emulator.put_app(app().without_consent()).unwrap();
    assert_eq!(claims("https://graph.microsoft.com/.default").get("roles"), None, "and yet there is a token");
}

#[test]
fn tokens_for_an_application_have_the_version_that_it_wants() {
    let path = file(&format!(
        "{}access_token_version = 2\n[[apps.roles]]\nresource = \"{CLIENT}\"\nvalues = [\"Do\"]\n",
        text("one")
    ));
    let emulator = builder().directory(&path).start_in_background().unwrap();
    for scope in [format!("api://{CLIENT}/.default"), format!("{CLIENT}/.default")] {
        let changes = [("client_id", CLIENT), ("client_secret", "one"), ("scope", scope.as_str())];
        let claims = token(&emulator, HOME, &fields(&changes)).claims();
        for (name, value) in [
            ("aud", CLIENT),
            ("iss", &format!("{}/{HOME}/v2.0", emulator.authority())),
            ("azp", CLIENT),
            ("azpacr", "1"),
            ("tid", HOME),
            ("ver", "2.0"),
        ] {
            assert_eq!(claims[name], value, "{name}");
        }
        assert_eq!(claims["roles"], json!(["Do"]));
        assert!(claims.get("appid").is_none() && claims.get("appidacr").is_none(), "{claims}");
    }
    let changes = [("client_id", CLIENT), ("client_secret", "one")];
    assert_eq!(token(&emulator, HOME, &fields(&changes)).claims()["ver"], "1.0");
}

#[test]
fn people_of_a_file_sign_in_as_it_says() {
    let app = format!(
        "[[apps]]\nclient_id = \"{CLIENT}\"\npublic_client = true\nredirect_uris = [\"http://localhost/back\"]\n\
         scopes = [\"Files.Read\"]\nconsents = [{{ resource = \"https://vault.azure.net\", scopes = [\"user_impersonation\"] }}]\n"
    );
    let people = "[[users]]\nname = \"lin@home.example\"\npassword = \"one\"\ndisplay_name = \"Lin\"\n\
                  [[users]]\nname = \"eve@home.example\"\npassword = \"two\"\ndisabled = true\n";
    let tenant = format!("[[tenants]]\nid = \"{HOME}\"\ndomains = [\"home.example\"]\n");
    let path = file(&format!("{tenant}{app}{people}"));
    let emulator = builder().directory(&path).start_in_background().unwrap();
    let ask = |name: &str, password: &str, scope: &str| {
        let form = [
            ("client_id", CLIENT),
            ("grant_type", "password"),
            ("username", name),
            ("password", password),
            ("scope", scope),
        ];
        token(&emulator, "home.example", &form)
    };
    let vault = "https://vault.azure.net/.default";
    let claims = ask("lin@home.example", "one", vault).claims();
    assert_eq!((&claims["name"], &claims["scp"]), (&"Lin".into(), &"user_impersonation".into()));
    assert_eq!(refusal(&ask("lin@home.example", "one", "https://storage.azure.com/.default")), (400, 65_001));
    assert_eq!(refusal(&ask("eve@home.example", "two", vault)), (400, 50_057));
    let code = |redirect: &str| emulator.authorization_code(CLIENT, redirect, vault, "lin@home.example", None, None);
    assert!(code("http://localhost:5000/back").is_ok() && code("http://localhost:5000").is_err());
    // The one that is needed is the first that a password is enough for; this app may not have everything.
    assert!(emulator.user_variables(identity_emulator::UserFlow::UsernamePassword).is_empty());
    fs::write(&path, format!("{tenant}{app}{people}").replace("\"one\"", "\"three\"")).unwrap();
    assert_eq!(refusal(&ask("lin@home.example", "one", vault)), (400, 50_126));
    assert_eq!(refusal(&ask("lin@home.example", "three", vault)), (200, 0));
    fs::write(&path, "nonsense").unwrap();
    assert_eq!(control(&emulator, "POST", "/__emulator/rotate", r#"{"what":"tokens"}"#).status, 204, "as it was");
}

#[test]
fn mistakes_in_rust_are_found_as_those_in_a_file() {
    let id = "7e57ab1e-0000-4000-8000-00000000aa01";
    let app = || App::new(id);
    let emulator = builder().start_in_background().unwrap();
    for (wrong, part) in [
        (app().tenant("nobody.example"), "nobody.example"),
        (app().federated("https://tokn.actions.githubusercontent.com", "s", "a"), "https://tokn"),
        (app().secret(""), "empty"),
        (app().secret("s").public_client(), "public client"),
        (app().object_id("x"), "GUID"),
        (app().access_token_version(3), "version"),
    ] {
        let error = emulator.put_app(wrong.clone()).unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(part), "{error}");
        let error = builder().app(wrong).start_in_background().unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let web = fields(&[]);
    assert_eq!(token(&emulator, TENANT_ID, &web).status, 200, "what was there before still is");
    builder().user(User::new("ada", "")).start_in_background().unwrap_err();
    builder().user(User::new("ada", "x").tenant("nobody.example")).start_in_background().unwrap_err();
    builder().tenant(Tenant::new(id).domain("common")).start_in_background().unwrap_err();
    builder().tenant(Tenant::new(id).domain(TENANT_DOMAIN)).start_in_background().unwrap_err();
}

#[test]
fn a_bad_file_stops_the_start() {
    let error = builder().directory(file("[[tenants]]\nid = 1\n")).start_in_background().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains("directory.toml: line 2: "), "{error}");
    let error = builder().directory("/nowhere/at/all.toml").start_in_background().unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/at/all.toml: "), "{error}");
}

#[test]
fn the_directory_of_now_is_a_start_for_ones_own() {
    let first = builder()
        .app(App::new(CLIENT).secret("x").tenant(OTHER_TENANT_ID))
        .user(User::new("grace@contoso.example", "secret"))
        .issuer("https://i.example", r#"{"keys":[{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}]}"#)
        .app(App::new("7e57ab1e-0000-4000-8000-00000000aa01").federated("https://i.example", "s", "a"))
        .start_in_background()
        .unwrap();
    let path = common::directory().join("written.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    first.write_directory(&path).unwrap();
    let second = builder().directory(&path).start_in_background().unwrap();
    let scope = "https://vault.azure.net/.default";
    assert_eq!(status(&second, TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET, scope).0, 200);
    assert_eq!(status(&second, OTHER_TENANT_ID, CLIENT, "x", scope).0, 200);
    assert!(fs::read_to_string(&path).unwrap().contains("grace@contoso.example"));
    assert!(!format!("{:?}", User::new("a", "hush")).contains("hush"));
}

#[test]
fn other_languages_steer_it_too() {
    let emulator = builder().start_in_background().unwrap();
    let scope = "https://vault.azure.net/.default";
    assert_eq!(control(&emulator, "POST", "/__emulator/clock", r#"{"skew_secs":-3600}"#).status, 204);
    let fields = [
        ("client_id", WEB_CLIENT_ID),
        ("client_secret", WEB_CLIENT_SECRET),
        ("grant_type", "client_credentials"),
        ("scope", scope),
    ];
    assert!(token(&emulator, TENANT_ID, &fields).claims()["exp"].as_i64().unwrap() < common::now() + 5);
    let facts = || control(&emulator, "GET", "/__emulator/entra", "").json();
    let before = facts();
    assert_eq!(before["authority"], emulator.authority());
    assert_eq!(before["ca"], emulator.ca_pem());
    for (what, name) in [("ca", "ca"), ("identity-binding-ca", "identity_binding_ca")] {
        let order = format!(r#"{{"what":"{what}"}}"#);
        assert_eq!(control(&emulator, "POST", "/__emulator/rotate", &order).status, 204);
        assert_ne!(facts()[name], before[name]);
    }
    let path = variable(&emulator, Source::WorkloadIdentity, "AZURE_FEDERATED_TOKEN_FILE");
    let old = fs::read_to_string(&path).unwrap();
    assert_eq!(control(&emulator, "POST", "/__emulator/rotate", r#"{"what":"tokens"}"#).status, 204);
    assert_ne!(fs::read_to_string(&path).unwrap(), old);
    assert_eq!(control(&emulator, "POST", "/__emulator/rotate", r#"{"what":"x"}"#).status, 400);
}

#[test]
fn variables_name_an_application_that_works() {
    let id = |last: u32| format!("0fedcba9-0000-4000-8000-0000000000{last:02}");
    let tenants =
        format!("[[tenants]]\nid = \"{HOME}\"\n[[tenants]]\nid = \"{OTHER_TENANT_ID}\"\ndomains = [\"b.example\"]\n");
    let app = |last: u32, more: &str| format!("[[apps]]\nclient_id = \"{}\"\n{more}\n", id(last));
    let federated = format!(
        "federated = [{{ issuer = \"{KUBERNETES_ISSUER}\", subject = \"{KUBERNETES_SUBJECT}\", audience = \"api://AzureADTokenExchange\" }}]"
    );
    let certificate = format!("certificates = [{{ pem = \"{}\" }}]", TEST_CERTIFICATE_PEM.replace('\n', "\\n"));
    let secret = "secrets = [{ value = \"s\" }]";
    let all = [
        app(10, &format!("tenants = [\"b.example\"]\n{secret}\n{certificate}\n{federated}")),
        app(11, &format!("disabled = true\n{secret}\n{certificate}\n{federated}")),
        app(12, &format!("blocked_by_policy = true\n{secret}\n{certificate}\n{federated}")),
        app(13, "secrets = [{ value = \"old\", expires = 2020-01-01 }]"),
    ];
    let bad = tenants + &all.concat();
    let start = |text: &str| builder().directory(file(text)).start_in_background().unwrap();
    let poor = start(&bad);
    for source in [Source::Entra, Source::WorkloadIdentity, Source::IdentityBinding, Source::GithubActions] {
        let error = poor.check_variables(source).unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(HOME), "{error}");
        assert!(poor.variables(source).is_empty(), "{source}");
    }
    poor.check_variables(Source::Imds).unwrap();
    assert!(poor.check_certificate_variables().unwrap_err().to_string().contains("certificate"));
    assert!(poor.certificate_variables().is_empty());

    let good = [
        app(14, "secrets = [{ value = \"old\", expires = 2020-01-01 }, { value = \"good\" }]"),
        app(15, &certificate),
        app(16, &federated),
    ];
    let rich = start(&(bad + &good.concat()));
    let client = |variables: Vec<(String, String)>| -> String {
        variables.into_iter().find(|(name, _)| name == "AZURE_CLIENT_ID").map_or_else(String::new, |(_, value)| value)
    };
    assert_eq!(client(rich.variables(Source::Entra)), id(14));
    assert_eq!(variable(&rich, Source::Entra, "AZURE_CLIENT_SECRET"), "good");
    assert_eq!(client(rich.certificate_variables()), id(15));
    assert_eq!(client(rich.variables(Source::WorkloadIdentity)), id(16));
    assert_eq!(client(rich.variables(Source::IdentityBinding)), id(16));
    assert!(rich.variables(Source::AzurePipelines).is_empty(), "nobody trusts its issuer");
}
