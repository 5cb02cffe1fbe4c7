//! What Entra knows: tenants, applications, issuers and users.

mod app;
mod defaults;
mod file;
mod issuer;
mod user;

pub use app::{App, Tenant};
pub use defaults::{
    CERTIFICATE_CLIENT_ID, DISABLED_CLIENT_ID, EXPIRED_CLIENT_ID, EXPIRED_CLIENT_SECRET, FEDERATED_CLIENT_ID,
    GITHUB_ISSUER, GITHUB_SUBJECT, KUBERNETES_ISSUER, KUBERNETES_SUBJECT, OTHER_TENANT_DOMAIN, OTHER_TENANT_ID,
    PIPELINES_ISSUER, PIPELINES_SUBJECT, SERVICE_CONNECTION_ID, TENANT_DOMAIN, USER_NAME, USER_PASSWORD, WEB_CLIENT_ID,
    WEB_CLIENT_SECRET,
};
pub(crate) use issuer::Issuer;
pub use user::User;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use ring::digest;

use crate::lock;
use crate::text::guid;

/// Everything that Entra knows at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    /// The first one is home.
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) apps: Vec<App>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) users: Vec<User>,
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
        let app = self.apps.iter().find(|app| app.client_id.eq_ignore_ascii_case(client_id))?;
        let home = self.tenants.first().is_some_and(|home| home.id == tenant.id);
        let known = if app.tenants.is_empty() { home } else { app.tenants.iter().any(|name| tenant.is_called(name)) };
        known.then_some(app)
    }

    /// Adds an application, or replaces the one of that client id.
    pub(crate) fn put(&mut self, app: App) {
        self.apps.retain(|other| !other.client_id.eq_ignore_ascii_case(&app.client_id));
        self.apps.push(app);
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
}

impl Extra {
    pub(crate) fn apply(&self, directory: &mut Directory) -> io::Result<()> {
        for tenant in &self.tenants {
            match directory.tenants.iter_mut().find(|other| other.is_called(&tenant.id)) {
                Some(other) => *other = tenant.clone(),
                None => directory.tenants.push(tenant.clone()),
            }
        }
        for app in &self.apps {
            directory.put(app.clone());
        }
        for user in &self.users {
            directory.users.retain(|other| !other.name.eq_ignore_ascii_case(&user.name));
            directory.users.push(user.clone());
        }
        for (issuer, jwks) in &self.issuers {
            directory.issuers.push(Issuer::parse(issuer, jwks)?);
        }
        Ok(())
    }
}

/// The directory of a running emulator.
pub(crate) struct Store {
    path: Option<PathBuf>,
    now: Mutex<State>,
}

struct State {
    directory: Arc<Directory>,
    extra: Extra,
    /// When the file was written last, and its length.
    stamp: Option<(SystemTime, u64)>,
    /// What is wrong with the file.
    error: Option<String>,
}

impl Store {
    /// The directory in that file, or the built-in one, and what is added to it.
    pub(crate) fn new(path: Option<PathBuf>, tenant_id: &str, extra: Extra) -> io::Result<Self> {
        let stamp = path.as_deref().and_then(stamp);
        let mut directory = match &path {
            Some(path) => file::read(path)?,
            None => Directory::built_in(tenant_id),
        };
        for app in &extra.apps {
            app.check()?;
        }
        extra.apply(&mut directory)?;
        let state = State { directory: Arc::new(directory), extra, stamp, error: None };
        Ok(Self { path, now: Mutex::new(state) })
    }

    /// The directory, read again if its file has changed.
    ///
    /// # Errors
    ///
    /// What is wrong with the file since its last change.
    pub(crate) fn now(&self) -> Result<Arc<Directory>, String> {
        let mut state = lock(&self.now);
        if let Some(path) = &self.path {
            let stamp = stamp(path);
            if stamp != state.stamp || stamp.is_none() {
                state.stamp = stamp;
                let read = file::read(path).and_then(|mut directory| {
                    state.extra.apply(&mut directory)?;
                    Ok(directory)
                });
                match read {
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

    /// The directory as it was when its file was last good.
    pub(crate) fn last_good(&self) -> Arc<Directory> {
        let _ = self.now();
        Arc::clone(&lock(&self.now).directory)
    }

    /// Adds an application, or replaces the one of that client id; it stays when the file changes.
    pub(crate) fn put(&self, app: App) -> io::Result<()> {
        app.check()?;
        let mut state = lock(&self.now);
        Arc::make_mut(&mut state.directory).put(app.clone());
        state.extra.apps.push(app);
        Ok(())
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let data = fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

/// A GUID that is always the same for a name.
fn derived_guid(name: &str) -> String {
    let digest = digest::digest(&digest::SHA256, name.to_ascii_lowercase().as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.as_ref()).for_each(|(byte, digest)| *byte = *digest);
    guid(bytes)
}
