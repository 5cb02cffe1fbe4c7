//! The directory as a file that people edit.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use toml::Spanned;
use toml::value::{Datetime, Offset};

use crate::directory::check::{Place, Problem};
use crate::directory::{App, Directory, Issuer, Tenant, User};
use crate::files::about;
use crate::text::is_guid;
use crate::x509::days_from_civil;

/// Where the entries of a file begin: the lines of each list.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    tenants: Vec<usize>,
    apps: Vec<usize>,
    issuers: Vec<usize>,
    users: Vec<usize>,
}

impl Lines {
    /// The mistake with its line, if it is in the file.
    pub(crate) fn tell(&self, problem: &Problem) -> String {
        let line = match problem.place {
            Place::Top => Some(&1),
            Place::Tenant(index) => self.tenants.get(index),
            Place::App(index) => self.apps.get(index),
            Place::Issuer(index) => self.issuers.get(index),
            Place::User(index) => self.users.get(index),
        };
        line.map_or_else(|| problem.what.clone(), |line| format!("line {line}: {}", problem.what))
    }
}

/// Reads a directory, which may still hold mistakes; files that it names are below `base`.
pub(crate) fn parse(text: &str, base: &Path) -> io::Result<(Directory, Lines)> {
    let content: Content = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line(text, span.start));
        invalid(line, &without_values(error.message()))
    })?;
    let mut directory = Directory { resources: content.resources, ..Directory::default() };
    let mut lines = Lines::default();
    for entry in content.tenants {
        let line = line(text, entry.span().start);
        let TenantEntry { id, domains } = entry.into_inner();
        if !is_guid(&id) {
            return Err(invalid(line, &format!("the tenant id {id:?} is no GUID")));
        }
        directory.tenants.push(Tenant { id, domains });
        lines.tenants.push(line);
    }
    for entry in content.apps {
        let line = line(text, entry.span().start);
        directory.apps.push(app(entry.into_inner(), base).map_err(|what| invalid(line, &what))?);
        lines.apps.push(line);
    }
    for entry in content.issuers {
        let line = line(text, entry.span().start);
        let IssuerEntry { issuer, jwks, jwks_path } = entry.into_inner();
        let parsed = given(jwks, jwks_path, base, "jwks")
            .and_then(|jwks| Issuer::parse(&issuer, &jwks).map_err(|error| error.to_string()));
        directory.issuers.push(parsed.map_err(|what| invalid(line, &what))?);
        lines.issuers.push(line);
    }
    for entry in content.users {
        lines.users.push(line(text, entry.span().start));
        directory.users.push(user(entry.into_inner()));
    }
    Ok((directory, lines))
}

fn app(entry: AppEntry, base: &Path) -> Result<App, String> {
    let mut app = App::new(entry.client_id);
    app.name = entry.name.unwrap_or(app.name);
    app.object_id = entry.object_id.unwrap_or(app.object_id);
    app.tenants = entry.tenants;
    for secret in entry.secrets {
        app = match secret.expires.as_ref().map(time) {
            None => app.secret(secret.value),
            Some(Some(expires)) => app.secret_until(secret.value, expires),
            Some(None) => return Err("`expires` has to be a date, or a date and a time with an offset".to_owned()),
        };
    }
    for certificate in entry.certificates {
        app = app.certificate_pem(given(certificate.pem, certificate.path, base, "pem")?);
    }
    for name in entry.subject_names {
        app = app.subject_name(name.name, given(name.ca_pem, name.ca_path, base, "ca_pem")?);
    }
    for record in entry.federated {
        app = app.federated(record.issuer, record.subject, record.audience);
    }
    for RoleEntry { resource, values } in entry.roles {
        app.roles.extend(values.into_iter().map(|role| (resource.clone(), role)));
    }
    for ConsentEntry { resource, scopes } in entry.consents {
        app.consents.extend(scopes.into_iter().map(|scope| (resource.clone(), scope)));
    }
    app.redirect_uris = entry.redirect_uris;
    app.scopes = entry.scopes;
    app.token_version = entry.access_token_version.unwrap_or(app.token_version);
    app.resources = entry.resources;
    app.disabled = entry.disabled;
    app.public = entry.public_client;
    app.consented = entry.consented;
    app.blocked = entry.blocked_by_policy;
    Ok(app)
}

fn user(entry: UserEntry) -> User {
    let user = User::new(entry.name, entry.password);
    User {
        object_id: entry.object_id.unwrap_or(user.object_id),
        display_name: entry.display_name.unwrap_or(user.display_name),
        tenant: entry.tenant,
        mfa: entry.mfa,
        federated: entry.federated,
        disabled: entry.disabled,
        must_change_password: entry.must_change_password,
        ..user
    }
}

/// What is given in the file itself, or in another one.
fn given(text: Option<String>, path: Option<String>, base: &Path, name: &str) -> Result<String, String> {
    match (text, path) {
        (Some(text), None) => Ok(text),
        (None, Some(path)) => {
            let path = base.join(path);
            fs::read_to_string(&path).map_err(|error| about(&path, &error).to_string())
        }
        _ => Err(format!("give `{name}` or the path of a file with it, and not both")),
    }
}

fn time(given: &Datetime) -> Option<SystemTime> {
    let date = given.date?;
    let days = days_from_civil(date.year.into(), date.month.into(), date.day.into());
    let (time, minutes) = match (given.time, given.offset) {
        (None, None) => (None, 0),
        (Some(time), Some(Offset::Z)) => (Some(time), 0),
        (Some(time), Some(Offset::Custom { minutes })) => (Some(time), i64::from(minutes)),
        _ => return None,
    };
    let seconds = time.map_or(0, |time| {
        i64::from(time.hour) * 3_600 + i64::from(time.minute) * 60 + time.second.map_or(0, i64::from)
    });
    let seconds = days * 86_400 + seconds - minutes * 60;
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let whole = if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    whole?.checked_add(Duration::from_nanos(time.and_then(|time| time.nanosecond).unwrap_or(0).into()))
}

fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// A message of serde's without the values that it quotes, for they may be secret; what it says of names stays.
pub(super) fn without_values(message: &str) -> String {
    if NAMES_ONLY.iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    let Some((before, rest)) = message.find(['"', '`']).and_then(|place| message.split_at_checked(place)) else {
        return message.to_owned();
    };
    // A value may say `, expected `, too, but what is expected comes last.
    let expected = rest.rfind(", expected ").and_then(|place| rest.get(place..)).unwrap_or_default();
    format!("{}{expected}", before.trim_end())
}

fn invalid(line: usize, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {line}: {what}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    tenants: Vec<Spanned<TenantEntry>>,
    #[serde(default)]
    apps: Vec<Spanned<AppEntry>>,
    #[serde(default)]
    issuers: Vec<Spanned<IssuerEntry>>,
    #[serde(default)]
    users: Vec<Spanned<UserEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantEntry {
    id: String,
    #[serde(default)]
    domains: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppEntry {
    client_id: String,
    name: Option<String>,
    object_id: Option<String>,
    #[serde(default)]
    tenants: Vec<String>,
    #[serde(default)]
    secrets: Vec<SecretEntry>,
    #[serde(default)]
    certificates: Vec<CertificateEntry>,
    #[serde(default)]
    subject_names: Vec<SubjectNameEntry>,
    #[serde(default)]
    federated: Vec<FederatedEntry>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    roles: Vec<RoleEntry>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    consents: Vec<ConsentEntry>,
    access_token_version: Option<u8>,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    public_client: bool,
    #[serde(default = "yes")]
    consented: bool,
    #[serde(default)]
    blocked_by_policy: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretEntry {
    value: String,
    expires: Option<Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateEntry {
    pem: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectNameEntry {
    name: String,
    ca_pem: Option<String>,
    ca_path: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FederatedEntry {
    issuer: String,
    subject: String,
    audience: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleEntry {
    resource: String,
    values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentEntry {
    resource: String,
    scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerEntry {
    issuer: String,
    jwks: Option<String>,
    jwks_path: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    name: String,
    password: String,
    object_id: Option<String>,
    display_name: Option<String>,
    tenant: Option<String>,
    #[serde(default)]
    mfa: bool,
    #[serde(default)]
    federated: bool,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    must_change_password: bool,
}

/// How messages begin that quote names and no values.
const NAMES_ONLY: [&str; 4] = ["missing field ", "unknown field ", "duplicate field ", "duplicate key"];

#[cfg(test)]
mod tests {
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
            (
                format!("{tenant}{app}{}", federated("https://sts.windows.net/b.example/")),
                "line 3: the emulator does not",
            ),
            (
                format!("{tenant}{app}{}", federated("https://localhost:1/a.example/v2.0")),
                "line 3: the emulator does not",
            ),
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
}
