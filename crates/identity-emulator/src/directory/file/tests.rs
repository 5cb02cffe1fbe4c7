use super::*;
use crate::text::epoch_seconds;

fn refused(text: &str) -> String {
    match parse(text, Path::new("/nowhere")) {
        Err(error) => error.to_string(),
        Ok((directory, lines)) => directory
            .check(&["localhost:4000".to_owned()])
            .map_or_else(|problem| lines.tell(&problem), |()| String::new()),
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let tenant = "[[tenants]]\nid = \"7e57ab1e-0000-4000-8000-000000000001\"\n";
    let app = "[[apps]]\nclient_id = \"7e57ab1e-0000-4000-8000-000000000002\"\n";
    for (text, expected) in [
        (String::new(), "line 1: there is no tenant"),
        ("[[tenants]]\nid = \"x\"".to_owned(), "line 1: the tenant id \"x\" is no GUID"),
        (format!("{tenant}[[apps]\n"), "line 3: "),
        (format!("{tenant}[[apps]]\n"), "line 3: missing field `client_id`"),
        (format!("{tenant}{app}secret = 1\n"), "line 5: unknown field `secret`"),
        (format!("{tenant}\n[[apps]]\nclient_id = \"x\"\n"), "line 4: the client id"),
        (format!("{tenant}{app}tenants = [\"other.example\"]\n"), "line 3: there is no tenant"),
        (format!("{tenant}{app}{app}"), "line 5: the app 7e57"),
        (format!("{tenant}{app}certificates = [{{ pem = \"x\" }}]\n"), "line 3: a certificate"),
        (format!("{tenant}{app}certificates = [{{}}]\n"), "line 3: give `pem`"),
        (format!("{tenant}{app}certificates = [{{ path = \"x\" }}]\n"), "line 3: /nowhere/x: "),
        (format!("{tenant}{app}secrets = [{{ value = \"x\", expires = 07:00:00 }}]\n"), "line 3: `expires`"),
        (format!("{tenant}[[issuers]]\nissuer = \"x\"\njwks = \"x\"\n"), "line 3: issuer x: "),
        (format!("{tenant}[[users]]\nname = \"x\"\n"), "line 3: missing field `password`"),
    ] {
        let error = refused(&text);
        assert!(error.starts_with(expected), "{text:?}\n{error}\n{expected}");
    }
}

#[test]
fn mistakes_that_could_be_taken_for_a_directory_are_named_with_their_line() {
    let tenant = "[[tenants]]\nid = \"7e57ab1e-0000-4000-8000-000000000001\"\n";
    let app = "[[apps]]\nclient_id = \"7e57ab1e-0000-4000-8000-000000000002\"\n";
    let other = tenant.replace("0001", "0009");
    let user = "[[users]]\nname = \"u@a.example\"\npassword = \"x\"\n";
    let issuer = format!("[[issuers]]\nissuer = \"https://i.example\"\njwks = '{JWKS}'\n");
    let object = App::new("7e57ab1e-0000-4000-8000-000000000002").object_id;
    let same_object = format!("{}object_id = \"{object}\"\n", app.replace("0002", "0003"));
    let federated =
        |issuer: &str| format!("federated = [{{ issuer = \"{issuer}\", subject = \"s\", audience = \"a\" }}]\n");
    let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let elliptic = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    let subscription = "[[subscriptions]]\nid = \"7e57ab1e-0000-4000-8000-000000000004\"\nname = \"x\"\n";
    for (text, expected) in [
        (format!("{tenant}{tenant}"), "line 3: the tenant 7e57ab1e-0000-4000-8000-000000000001 is there twice"),
        (
            format!("{tenant}domains = [\"a.example\", \"A.example\"]\n"),
            "line 1: the domain name A.example is there twice",
        ),
        (
            format!("{tenant}domains = [\"a.example\"]\n{other}domains = [\"a.example\"]\n"),
            "line 4: the domain name a.example is there twice",
        ),
        (format!("{tenant}domains = [\"common\"]\n"), "line 1: \"common\" is no domain name"),
        (format!("{tenant}domains = [\"adfs\"]\n"), "line 1: \"adfs\" is no domain name"),
        (format!("{tenant}domains = [\"not a domain/\"]\n"), "line 1: \"not a domain/\" is no domain name"),
        (format!("{tenant}{user}{user}"), "line 6: the user u@a.example is there twice"),
        (format!("{tenant}{user}tenant = \"b.example\"\n"), "line 3: there is no tenant \"b.example\""),
        (format!("{tenant}{}", user.replace("\"x\"", "\"\"")), "line 3: a user needs a name and a password"),
        (format!("{tenant}{issuer}{issuer}"), "line 6: the issuer https://i.example is there twice"),
        (format!("{tenant}{app}{same_object}"), "line 5: the object id "),
        (format!("{tenant}{app}secrets = [{{ value = \"\" }}]\n"), "line 3: a secret of app "),
        (format!("{tenant}{app}public_client = true\nsecrets = [{{ value = \"x\" }}]\n"), "line 3: app 7e57"),
        (format!("{tenant}{app}certificates = [{{ pem = '''{elliptic}''' }}]\n"), "line 3: a certificate of app"),
        (
            format!("{tenant}{app}subject_names = [{{ name = \"n\", ca_pem = '''{elliptic}''' }}]\n"),
            "line 3: the subject name \"n\"",
        ),
        (
            format!("{tenant}{app}{}", federated("https://tokn.actions.githubusercontent.com")),
            "line 3: the emulator does not play the issuer \"https://tokn",
        ),
        (format!("{tenant}{app}{}", federated("https://sts.windows.net/b.example/")), "line 3: the emulator does not"),
        (format!("{tenant}{app}{}", federated("https://localhost:1/a.example/v2.0")), "line 3: the emulator does not"),
        (format!("{tenant}{app}access_token_version = 3\n"), "line 3: the tokens for app"),
        (format!("{tenant}{app}roles = [{{ resource = \"\", values = [\"x\"] }}]\n"), "line 3: \"\" of app"),
        (format!("resources = [\"\"]\n{tenant}"), "line 1: the resource \"\""),
        (format!("{tenant}{app}redirect_uris = [\"http://a.example\"]\n"), "line 3: the redirect URI"),
        (format!("{tenant}{app}redirect_uris = [\"HTTP://a.example\"]\n"), "line 3: the redirect URI"),
        (format!("{tenant}{app}redirect_uris = [\"JavaScript:alert(1)\"]\n"), "line 3: the redirect URI"),
        (format!("{tenant}{app}redirect_uris = [\"http://localhost:1@a.example\"]\n"), "line 3: the redirect URI"),
        (format!("{tenant}{app}scopes = [\"api://a/b\"]\n"), "line 3: the scope \"api://a/b\""),
        (format!("{tenant}{app}consents = [{{ resource = \"r\" }}]\n"), "line 5: missing field `scopes`"),
        (format!("{tenant}[[users]]\nname = \"a\"\npassword = \"x\"\nmfa = 1\n"), "line 6: invalid type"),
        (format!("{tenant}[[users]]\nname = \"a b\"\npassword = \"x\"\n"), "line 3: the name \"a b\""),
        (format!("{tenant}[[subscriptions]]\nid = \"x\"\nname = \"x\"\n"), "line 3: the id \"x\" of a subscription"),
        (format!("{tenant}[[subscriptions]]\nid = \"x\"\n"), "line 3: missing field `name`"),
        (format!("{tenant}{subscription}{subscription}"), "line 6: the subscription 7e57"),
        (format!("{tenant}{subscription}tenant = \"b.example\"\n"), "line 3: there is no tenant \"b.example\""),
        (format!("{tenant}{}", subscription.replace("\"x\"", "\"a\\nb\"")), "line 3: the name \"a\\nb\" of a sub"),
    ] {
        let error = refused(&text);
        assert!(error.starts_with(expected), "{text:?}\n{error}\n{expected}");
    }
}

#[test]
fn issuers_that_are_played_or_told_are_known() {
    let tenant = "[[tenants]]\nid = \"7e57ab1e-0000-4000-8000-000000000001\"\ndomains = [\"a.example\"]\n";
    let known = [
        crate::GITHUB_ISSUER,
        "https://sts.windows.net/7e57ab1e-0000-4000-8000-000000000001/",
        "https://login.microsoftonline.com/a.example/v2.0",
        "https://localhost:4000/a.example/v2.0",
        "https://i.example",
    ];
    let records: String = known
        .iter()
        .map(|issuer| format!("[[apps.federated]]\nissuer = \"{issuer}\"\nsubject = \"s\"\naudience = \"a\"\n"))
        .collect();
    let app = "[[apps]]\nclient_id = \"7e57ab1e-0000-4000-8000-000000000002\"\n";
    let issuer = format!("[[issuers]]\nissuer = \"https://i.example\"\njwks = '{JWKS}'\n");
    assert_eq!(refused(&format!("{tenant}{app}{records}{issuer}")), "");
}

#[test]
fn no_message_shows_a_value() {
    let tenant = "[[tenants]]\nid = \"7e57ab1e-0000-4000-8000-000000000001\"\n";
    let app = "[[apps]]\nclient_id = \"7e57ab1e-0000-4000-8000-000000000002\"\n";
    let secrets = |secrets: &str| format!("{tenant}{app}secrets = {secrets}\n");
    for (text, expected) in [
        (secrets("[\"hunter2-very-secret\"]"), "line 5: invalid type: string, expected "),
        (secrets("[\"hunter2, expected x \\\" y\"]"), "line 5: invalid type: string, expected "),
        (secrets("\"hunter2\""), "line 5: invalid type: string, expected "),
        (secrets("[{ value = 1234567 }]"), "line 5: invalid type: integer, expected "),
        (secrets("[{ value = \"hunter2 }]"), "line 5: "),
        (secrets("[{ value = hunter2 }]"), "line 5: "),
        (secrets("[{ value = \"x\", expires = \"hunter2\" }]"), "line 5: invalid type: string, expected "),
        (
            format!("{tenant}[[issuers]]\nissuer = \"i\"\njwks = '{{\"keys\":[\"hunter2\"]}}'\n"),
            "line 3: issuer i: invalid type: string, expected ",
        ),
    ] {
        let error = refused(&text);
        assert!(error.starts_with(expected), "{text:?}\n{error}\n{expected}");
        assert!(!error.contains("hunter2") && !error.contains("1234567"), "{error}");
    }
}

#[test]
fn dates_may_have_a_time_and_an_offset() {
    for (text, seconds) in [
        ("2020-01-01", Some(1_577_836_800)),
        ("2020-01-01T00:00:00Z", Some(1_577_836_800)),
        ("2020-01-01T01:30:10+01:30", Some(1_577_836_810)),
        ("2020-01-01T00:00:00", None),
        ("1969-12-31", Some(-86_400)),
    ] {
        let found = time(&text.parse().unwrap()).map(epoch_seconds);
        assert_eq!(found, seconds, "{text}");
    }
}

/// A key set.
const JWKS: &str = r#"{"keys":[{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}]}"#;
