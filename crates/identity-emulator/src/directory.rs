//! What Entra knows: tenants, applications, issuers and users.

mod app;
mod defaults;
mod issuer;

pub use app::{App, Tenant};
pub use defaults::{
    CERTIFICATE_CLIENT_ID, DISABLED_CLIENT_ID, EXPIRED_CLIENT_ID, EXPIRED_CLIENT_SECRET, FEDERATED_CLIENT_ID,
    GITHUB_ISSUER, GITHUB_SUBJECT, KUBERNETES_ISSUER, KUBERNETES_SUBJECT, OTHER_TENANT_DOMAIN, OTHER_TENANT_ID,
    PIPELINES_ISSUER, PIPELINES_SUBJECT, SERVICE_CONNECTION_ID, TENANT_DOMAIN, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};
pub(crate) use issuer::Issuer;

use std::io;
use std::sync::{Arc, Mutex};

use crate::lock;

/// Everything that Entra knows at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    /// The first one is home.
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) apps: Vec<App>,
    pub(crate) issuers: Vec<Issuer>,
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
}

impl Extra {
    pub(crate) fn apply(&self, directory: &mut Directory) -> io::Result<()> {
        for tenant in &self.tenants {
            directory.tenants.retain(|other| !other.is_called(&tenant.id));
            directory.tenants.push(tenant.clone());
        }
        for app in &self.apps {
            directory.put(app.clone());
        }
        for (issuer, jwks) in &self.issuers {
            directory.issuers.push(Issuer::parse(issuer, jwks)?);
        }
        Ok(())
    }
}

/// The directory of a running emulator.
pub(crate) struct Store {
    now: Mutex<Arc<Directory>>,
}

impl Store {
    pub(crate) fn new(directory: Directory) -> io::Result<Self> {
        for app in &directory.apps {
            app.check()?;
        }
        Ok(Self { now: Mutex::new(Arc::new(directory)) })
    }

    pub(crate) fn now(&self) -> Arc<Directory> {
        Arc::clone(&lock(&self.now))
    }

    /// Adds an application, or replaces the one of that client id.
    pub(crate) fn put(&self, app: App) -> io::Result<()> {
        app.check()?;
        Arc::make_mut(&mut lock(&self.now)).put(app);
        Ok(())
    }
}
