//! The directory as a file that people edit.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use toml::Spanned;
use toml::value::{Datetime, Offset};

use crate::directory::check::{Place, Problem};
use crate::directory::{App, Directory, Issuer, Subscription, Tenant, User};
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
    subscriptions: Vec<usize>,
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
            Place::Subscription(index) => self.subscriptions.get(index),
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
    for entry in content.subscriptions {
        lines.subscriptions.push(line(text, entry.span().start));
        let SubscriptionEntry { id, name, tenant } = entry.into_inner();
        directory.subscriptions.push(Subscription { id, name, tenant });
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
    #[serde(default)]
    subscriptions: Vec<Spanned<SubscriptionEntry>>,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscriptionEntry {
    id: String,
    name: String,
    tenant: Option<String>,
}

/// How messages begin that quote names and no values.
const NAMES_ONLY: [&str; 4] = ["missing field ", "unknown field ", "duplicate field ", "duplicate key"];

#[cfg(test)]
mod tests;
