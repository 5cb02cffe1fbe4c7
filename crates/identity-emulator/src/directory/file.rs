//! The directory as a file that people edit.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use toml::Spanned;
use toml::value::{Datetime, Offset};

use crate::directory::{App, Directory, Issuer, Tenant, User};
use crate::files::about;
use crate::text::{Calendar, epoch_seconds, is_guid};
use crate::x509::days_from_civil;

/// Reads a directory file.
pub(crate) fn read(path: &Path) -> io::Result<Directory> {
    let text = fs::read_to_string(path).map_err(|error| about(path, &error))?;
    parse(&text, path.parent().unwrap_or_else(|| Path::new("")))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Reads a directory; files that it names are below `base`.
fn parse(text: &str, base: &Path) -> io::Result<Directory> {
    let content: Content = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line(text, span.start));
        invalid(line, error.message())
    })?;
    let mut directory = Directory { resources: content.resources, ..Directory::default() };
    for entry in content.tenants {
        let line = line(text, entry.span().start);
        let TenantEntry { id, domains } = entry.into_inner();
        if !is_guid(&id) {
            return Err(invalid(line, &format!("the tenant id {id:?} is no GUID")));
        }
        directory.tenants.push(Tenant { id, domains });
    }
    if directory.tenants.is_empty() {
        return Err(invalid(1, "there is no tenant; the first one is home"));
    }
    for entry in content.apps {
        let line = line(text, entry.span().start);
        let app = app(entry.into_inner(), &directory, base).map_err(|what| invalid(line, &what))?;
        if directory.apps.iter().any(|other| other.client_id.eq_ignore_ascii_case(&app.client_id)) {
            return Err(invalid(line, &format!("the app {} is there twice", app.client_id)));
        }
        directory.apps.push(app);
    }
    for entry in content.issuers {
        let line = line(text, entry.span().start);
        let IssuerEntry { issuer, jwks, jwks_path } = entry.into_inner();
        let parsed = given(jwks, jwks_path, base, "jwks")
            .and_then(|jwks| Issuer::parse(&issuer, &jwks).map_err(|error| error.to_string()));
        directory.issuers.push(parsed.map_err(|what| invalid(line, &what))?);
    }
    for entry in content.users {
        let line = line(text, entry.span().start);
        let UserEntry { name, password, object_id, tenant } = entry.into_inner();
        let mut user = User::new(name, password);
        user.object_id = object_id.unwrap_or(user.object_id);
        if !is_guid(&user.object_id) {
            return Err(invalid(line, &format!("the object id {:?} is no GUID", user.object_id)));
        }
        if let Some(tenant) = tenant.as_deref().filter(|tenant| directory.tenant(tenant).is_none()) {
            return Err(invalid(line, &format!("there is no tenant {tenant:?}")));
        }
        user.tenant = tenant;
        directory.users.push(user);
    }
    Ok(directory)
}

fn app(entry: AppEntry, directory: &Directory, base: &Path) -> Result<App, String> {
    let mut app = App::new(entry.client_id);
    app.name = entry.name.unwrap_or(app.name);
    app.object_id = entry.object_id.unwrap_or(app.object_id);
    if let Some(tenant) = entry.tenants.iter().find(|tenant| directory.tenant(tenant).is_none()) {
        return Err(format!("there is no tenant {tenant:?}"));
    }
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
    app.resources = entry.resources;
    app.disabled = entry.disabled;
    app.public = entry.public_client;
    app.consented = entry.consented;
    app.blocked = entry.blocked_by_policy;
    app.check().map_err(|error| error.to_string())?;
    Ok(app)
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
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn invalid(line: usize, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {line}: {what}"))
}

impl Directory {
    /// The text of a file that says the same.
    pub(crate) fn to_toml(&self) -> String {
        let mut out = HEAD.to_owned();
        let list = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
        // Writing to a string cannot fail.
        if !self.resources.is_empty() {
            let _ = writeln!(out, "\nresources = [{}]", list(&self.resources));
        }
        for Tenant { id, domains } in &self.tenants {
            let _ = writeln!(out, "\n[[tenants]]\nid = {}\ndomains = [{}]", quoted(id), list(domains));
        }
        for app in &self.apps {
            let _ = writeln!(out, "\n[[apps]]\nclient_id = {}\nname = {}", quoted(&app.client_id), quoted(&app.name));
            let _ = writeln!(out, "object_id = {}", quoted(&app.object_id));
            for (name, texts) in [("tenants", &app.tenants), ("resources", &app.resources)] {
                if !texts.is_empty() {
                    let _ = writeln!(out, "{name} = [{}]", list(texts));
                }
            }
            for (name, set) in [
                ("disabled = true", app.disabled),
                ("public_client = true", app.public),
                ("consented = false", !app.consented),
                ("blocked_by_policy = true", app.blocked),
            ] {
                if set {
                    let _ = writeln!(out, "{name}");
                }
            }
            for secret in &app.secrets {
                let _ = writeln!(out, "[[apps.secrets]]\nvalue = {}", quoted(&secret.value));
                if let Some(expires) = secret.expires {
                    let date = Calendar::from_epoch(epoch_seconds(expires)).entra_timestamp();
                    let _ = writeln!(out, "expires = {date}");
                }
            }
            for pem in &app.certificates {
                let _ = writeln!(out, "[[apps.certificates]]\npem = '''\n{pem}'''");
            }
            for (name, ca) in &app.subject_names {
                let _ = writeln!(out, "[[apps.subject_names]]\nname = {}\nca_pem = '''\n{ca}'''", quoted(name));
            }
            for record in &app.federations {
                let _ = writeln!(
                    out,
                    "[[apps.federated]]\nissuer = {}\nsubject = {}\naudience = {}",
                    quoted(&record.issuer),
                    quoted(&record.subject),
                    quoted(&record.audience)
                );
            }
        }
        for user in &self.users {
            let _ = writeln!(out, "\n[[users]]\nname = {}\npassword = {}", quoted(&user.name), quoted(&user.password));
            let _ = writeln!(out, "object_id = {}", quoted(&user.object_id));
            if let Some(tenant) = &user.tenant {
                let _ = writeln!(out, "tenant = {}", quoted(tenant));
            }
        }
        out
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
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
    tenant: Option<String>,
}

const HEAD: &str = "\
# What the emulated Entra knows. It is read again when it changes; the first tenant is home.
#
# Apps also take: tenants (ids or domain names; without them, the home tenant), resources (only these), disabled,
# public_client, consented = false, blocked_by_policy; secrets with `expires`; certificates with `pem` or `path`;
# subject_names with `name` and `ca_pem` or `ca_path`; federated with `issuer`, `subject` and `audience`.
# [[issuers]] take `issuer` and `jwks` or `jwks_path`. `resources` at the top are known to every app.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text, Path::new("/nowhere")).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_directory_survives_being_written_and_read() {
        let built_in = Directory::built_in(crate::TENANT_ID);
        let text = built_in.to_toml();
        let read = parse(&text, Path::new("")).unwrap();
        assert_eq!(read.to_toml(), text);
        assert_eq!(read.tenants, built_in.tenants);
        assert_eq!(read.users, built_in.users);
        let secrets = |directory: &Directory| -> Vec<_> {
            directory.apps.iter().map(|app| app.secrets.iter().map(|one| one.expires).collect::<Vec<_>>()).collect()
        };
        assert_eq!(secrets(&read), secrets(&built_in));
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000A\"");
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
    fn dates_may_have_a_time_and_an_offset() {
        for (text, seconds) in [
            ("2020-01-01", Some(1_577_836_800)),
            ("2020-01-01T00:00:00Z", Some(1_577_836_800)),
            ("2020-01-01T01:30:10+01:30", Some(1_577_836_810)),
            ("2020-01-01T00:00:00", None),
        ] {
            let found = time(&text.parse().unwrap()).map(epoch_seconds);
            assert_eq!(found, seconds, "{text}");
        }
    }
}
