//! What Entra knows: tenants, applications, issuers and users; and the subscriptions of Azure.

mod app;
mod check;
mod defaults;
mod file;
mod issuer;
mod subscription;
mod user;
mod write;

pub use app::{App, Tenant};
pub(crate) use app::{IMPERSONATION, plain};
pub(crate) use check::PLAYED;
pub use defaults::{
    AZURE_CLI_CLIENT_ID, CERTIFICATE_CLIENT_ID, DISABLED_CLIENT_ID, DISABLED_USER_NAME, EXPIRED_CLIENT_ID,
    EXPIRED_CLIENT_SECRET, EXPIRED_PASSWORD_USER_NAME, FEDERATED_CLIENT_ID, FEDERATED_USER_NAME, GITHUB_ISSUER,
    GITHUB_SUBJECT, KUBERNETES_ISSUER, KUBERNETES_SUBJECT, MFA_USER_NAME, OTHER_TENANT_DOMAIN, OTHER_TENANT_ID,
    OTHER_USER_NAME, PIPELINES_ISSUER, PIPELINES_SUBJECT, PUBLIC_CLIENT_ID, SERVICE_CONNECTION_ID, SUBSCRIPTION_NAME,
    TENANT_DOMAIN, USER_NAME, USER_OBJECT_ID, USER_PASSWORD, WEB_CLIENT_ID, WEB_CLIENT_SECRET, WEB_REDIRECT_URI,
};
pub(crate) use issuer::Issuer;
pub use subscription::Subscription;
pub use user::User;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ring::digest;

use crate::files::about;
use crate::lock;
use crate::text::guid;

/// Everything that Entra knows at one time.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Directory {
    /// The first one is home.
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) apps: Vec<App>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) users: Vec<User>,
    pub(crate) subscriptions: Vec<Subscription>,
    /// Resources that are known beside Azure's own.
    pub(crate) resources: Vec<String>,
}

impl Directory {
    /// The tenant of that id or domain name.
    pub(crate) fn tenant(&self, name: &str) -> Option<&Tenant> {
        self.tenants.iter().find(|tenant| tenant.is_called(name))
    }

    /// The application, if the tenant has it.
    pub(crate) fn app(&self, client_id: &str, tenant: &Tenant) -> Option<&App> {
        let app = self.any_app(client_id)?;
        let home = self.tenants.first().is_some_and(|home| home.id == tenant.id);
        let known = if app.tenants.is_empty() { home } else { app.tenants.iter().any(|name| tenant.is_called(name)) };
        known.then_some(app)
    }

    /// The application, whatever tenants have it.
    pub(crate) fn any_app(&self, client_id: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.client_id.eq_ignore_ascii_case(client_id))
    }

    /// The person of that name.
    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name.eq_ignore_ascii_case(name))
    }

    /// The person of that object id.
    pub(crate) fn user_of(&self, object_id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.object_id.eq_ignore_ascii_case(object_id))
    }

    /// The tenant that a person belongs to.
    pub(crate) fn home_of(&self, user: &User) -> Option<&Tenant> {
        user.tenant.as_deref().map_or(self.tenants.first(), |name| self.tenant(name))
    }

    /// The subscriptions of a tenant.
    pub(crate) fn subscriptions_of(&self, tenant: &Tenant) -> impl Iterator<Item = &Subscription> {
        let is_of = move |one: &&Subscription| self.owner_of(one).is_some_and(|owner| owner.id == tenant.id);
        self.subscriptions.iter().filter(is_of)
    }

    /// The tenant that a subscription belongs to.
    pub(crate) fn owner_of(&self, subscription: &Subscription) -> Option<&Tenant> {
        subscription.tenant.as_deref().map_or(self.tenants.first(), |name| self.tenant(name))
    }

    /// Adds an application, or replaces the one of that client id.
    pub(crate) fn put(&mut self, app: App) {
        put(&mut self.apps, app, |one, other| one.client_id.eq_ignore_ascii_case(&other.client_id));
    }

    /// Adds a person, or replaces the one of that name.
    pub(crate) fn put_user(&mut self, user: User) {
        put(&mut self.users, user, |one, other| one.name.eq_ignore_ascii_case(&other.name));
    }

    /// Adds a subscription, or replaces the one of that id.
    fn put_subscription(&mut self, subscription: Subscription) {
        put(&mut self.subscriptions, subscription, |one, other| one.id.eq_ignore_ascii_case(&other.id));
    }
}

/// What is added to a directory by the program that starts the emulator.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) apps: Vec<App>,
    /// Issuers and their key sets.
    pub(crate) issuers: Vec<(String, String)>,
    pub(crate) users: Vec<User>,
    pub(crate) subscriptions: Vec<Subscription>,
}

impl Extra {
    pub(crate) fn apply(&self, directory: &mut Directory) -> io::Result<()> {
        for tenant in &self.tenants {
            put(&mut directory.tenants, tenant.clone(), |one, other| one.is_called(&other.id));
        }
        for app in &self.apps {
            directory.put(app.clone());
        }
        for user in &self.users {
            directory.put_user(user.clone());
        }
        for subscription in &self.subscriptions {
            directory.put_subscription(subscription.clone());
        }
        for (issuer, jwks) in &self.issuers {
            directory.issuers.push(Issuer::parse(issuer, jwks)?);
        }
        Ok(())
    }
}

/// Puts an entry in the place of the one that is the same, or at the end: those of a file keep their places.
fn put<T>(list: &mut Vec<T>, entry: T, is_same: impl Fn(&T, &T) -> bool) {
    match list.iter_mut().find(|other| is_same(other, &entry)) {
        Some(other) => *other = entry,
        None => list.push(entry),
    }
}

/// How long a file may be between being emptied and being written, before it counts as bad.
const SAVING: Duration = Duration::from_millis(100);

/// The directory of a running emulator.
pub(crate) struct Store {
    path: Option<PathBuf>,
    /// The hosts at which Entra answers.
    hosts: Vec<String>,
    now: Mutex<State>,
}

struct State {
    directory: Arc<Directory>,
    extra: Extra,
    /// The hash of the file when it was read last; `None` if it could not be read.
    hash: Option<Vec<u8>>,
    /// What is wrong with the file.
    error: Option<String>,
}

impl Store {
    /// The directory in that file, or the built-in one, and what is added to it.
    pub(crate) fn new(path: Option<PathBuf>, tenant_id: &str, extra: Extra, hosts: Vec<String>) -> io::Result<Self> {
        let (directory, hash) = match &path {
            Some(path) => {
                let text = read(path)?;
                (parsed(path, &text, &extra, &hosts)?, Some(hash(&text)))
            }
            None => {
                let mut directory = Directory::built_in(tenant_id);
                extra.apply(&mut directory)?;
                directory.check(&hosts).map_err(|problem| invalid(problem.what))?;
                (directory, None)
            }
        };
        let state = State { directory: Arc::new(directory), extra, hash, error: None };
        Ok(Self { path, hosts, now: Mutex::new(state) })
    }

    /// The directory, read again if its file has changed.
    ///
    /// # Errors
    ///
    /// What is wrong with the file since its last change.
    pub(crate) fn now(&self) -> Result<Arc<Directory>, String> {
        let mut state = lock(&self.now);
        if let Some(path) = &self.path {
            let mut text = read(path);
            // By content: the time of a file says little, and another file may be moved to its place.
            let mut found = text.as_deref().ok().map(hash);
            if found.is_none() || found != state.hash {
                let first = found.is_some() || state.hash.is_some();
                let mut directory = text.and_then(|text| self.parsed_again(path, &text, &state));
                if directory.is_err() && first {
                    // Who saves a file empties it, then writes: what is bad now may be good in a moment.
                    thread::sleep(SAVING);
                    text = read(path);
                    found = text.as_deref().ok().map(hash);
                    directory = text.and_then(|text| self.parsed_again(path, &text, &state));
                }
                state.hash = found;
                match directory {
                    Ok(directory) => (state.directory, state.error) = (Arc::new(directory), None),
                    Err(error) => state.error = Some(error.to_string()),
                }
            }
        }
        match &state.error {
            None => Ok(Arc::clone(&state.directory)),
            Some(error) => Err(error.clone()),
        }
    }

    /// What the file says now, whose home tenant has to be what it was: all tokens and variables name it.
    fn parsed_again(&self, path: &Path, text: &str, state: &State) -> io::Result<Directory> {
        let directory = parsed(path, text, &state.extra, &self.hosts)?;
        match (directory.tenants.first(), state.directory.tenants.first()) {
            (Some(now), Some(home)) if now.id != home.id => {
                let what = format!("the first tenant has been {} since the start, and has to stay so", home.id);
                Err(about(path, &io::Error::new(io::ErrorKind::InvalidData, what)))
            }
            _ => Ok(directory),
        }
    }

    /// The directory as it was when its file was last good.
    pub(crate) fn last_good(&self) -> Arc<Directory> {
        let _ = self.now();
        Arc::clone(&lock(&self.now).directory)
    }

    /// Adds an application, or replaces the one of that client id; it stays when the file changes.
    pub(crate) fn put(&self, app: App) -> io::Result<()> {
        let mut state = lock(&self.now);
        let mut directory = Directory::clone(&state.directory);
        directory.put(app.clone());
        directory.check(&self.hosts).map_err(|problem| invalid(problem.what))?;
        state.directory = Arc::new(directory);
        put(&mut state.extra.apps, app, |one, other| one.client_id.eq_ignore_ascii_case(&other.client_id));
        Ok(())
    }

    /// Adds a person, or replaces the one of that name; it stays when the file changes.
    pub(crate) fn put_user(&self, user: User) -> io::Result<()> {
        let mut state = lock(&self.now);
        let mut directory = Directory::clone(&state.directory);
        directory.put_user(user.clone());
        directory.check(&self.hosts).map_err(|problem| invalid(problem.what))?;
        state.directory = Arc::new(directory);
        put(&mut state.extra.users, user, |one, other| one.name.eq_ignore_ascii_case(&other.name));
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| about(path, &error))
}

/// What a file says, with what is added to it.
fn parsed(path: &Path, text: &str, extra: &Extra, hosts: &[String]) -> io::Result<Directory> {
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    let (mut directory, lines) = file::parse(text, base).map_err(|error| about(path, &error))?;
    extra.apply(&mut directory)?;
    directory
        .check(hosts)
        .map_err(|problem| about(path, &io::Error::new(io::ErrorKind::InvalidData, lines.tell(&problem))))?;
    Ok(directory)
}

fn hash(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// A GUID that is always the same for a name.
fn derived_guid(name: &str) -> String {
    let digest = digest::digest(&digest::SHA256, name.to_ascii_lowercase().as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.as_ref()).for_each(|(byte, digest)| *byte = *digest);
    guid(bytes)
}
