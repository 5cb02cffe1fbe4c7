//! What in a directory cannot work.

use crate::directory::{
    App, Directory, GITHUB_ISSUER, KUBERNETES_ISSUER, PIPELINES_ISSUER, Subscription, Tenant, User,
};
use crate::text::{is_domain, is_guid};

/// A mistake, and where it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) place: Place,
    pub(crate) what: String,
}

/// An entry, by its place in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Top,
    Tenant(usize),
    App(usize),
    Issuer(usize),
    User(usize),
    Subscription(usize),
}

impl Directory {
    /// Finds the first mistake; `hosts` are those at which Entra answers.
    pub(crate) fn check(&self, hosts: &[String]) -> Result<(), Problem> {
        let at = |place: Place| move |what: String| Problem { place, what };
        if self.tenants.is_empty() {
            return Err(at(Place::Top)("there is no tenant; the first one is home".to_owned()));
        }
        if let Some(resource) = self.resources.iter().find(|resource| !is_visible(resource)) {
            return Err(at(Place::Top)(format!("the resource {resource:?} must consist of visible ASCII characters")));
        }
        for (index, tenant) in self.tenants.iter().enumerate() {
            self.check_tenant(tenant, index).map_err(at(Place::Tenant(index)))?;
        }
        for (index, app) in self.apps.iter().enumerate() {
            self.check_app(app, index, hosts).map_err(at(Place::App(index)))?;
        }
        for (index, issuer) in self.issuers.iter().enumerate() {
            if before(&self.issuers, index).any(|other| other.issuer == issuer.issuer) {
                return Err(at(Place::Issuer(index))(format!("the issuer {} is there twice", issuer.issuer)));
            }
        }
        for (index, user) in self.users.iter().enumerate() {
            self.check_user(user, index).map_err(at(Place::User(index)))?;
        }
        for (index, subscription) in self.subscriptions.iter().enumerate() {
            self.check_subscription(subscription, index).map_err(at(Place::Subscription(index)))?;
        }
        Ok(())
    }

    /// The tenant, if the issuer is one of this authority's own, in one of the forms that it has.
    pub(crate) fn own_tenant<'a>(&self, issuer: &'a str, hosts: &[String]) -> Option<&'a str> {
        let (host, path) = issuer.strip_prefix("https://")?.split_once('/')?;
        let tenant = path.strip_suffix("/v2.0").or_else(|| path.strip_suffix('/'))?;
        let is_ours = host == "sts.windows.net"
            || host == "login.microsoftonline.com"
            || hosts.iter().any(|own| own.eq_ignore_ascii_case(host));
        (is_ours && self.tenant(tenant).is_some()).then_some(tenant)
    }

    fn check_tenant(&self, tenant: &Tenant, index: usize) -> Result<(), String> {
        let Tenant { id, domains } = tenant;
        let others = || before(&self.tenants, index);
        if RESERVED.iter().any(|name| name.eq_ignore_ascii_case(id)) {
            return Err(format!("{id:?} is no tenant of anybody"));
        }
        if others().any(|other| other.is_called(id)) {
            return Err(format!("the tenant {id} is there twice"));
        }
        for (place, domain) in domains.iter().enumerate() {
            if !is_domain(domain) {
                return Err(format!("{domain:?} is no domain name"));
            }
            let twice = before(domains, place).any(|other| other.eq_ignore_ascii_case(domain));
            if twice || others().any(|other| other.is_called(domain)) {
                return Err(format!("the domain name {domain} is there twice"));
            }
        }
        Ok(())
    }

    fn check_app(&self, app: &App, index: usize, hosts: &[String]) -> Result<(), String> {
        let App { client_id, object_id, .. } = app;
        app.check()?;
        if before(&self.apps, index).any(|other| other.client_id.eq_ignore_ascii_case(client_id)) {
            return Err(format!("the app {client_id} is there twice"));
        }
        if let Some(other) = before(&self.apps, index).find(|other| other.object_id.eq_ignore_ascii_case(object_id)) {
            return Err(format!("the object id {object_id} is that of the app {}, too", other.client_id));
        }
        if let Some(tenant) = app.tenants.iter().find(|tenant| self.tenant(tenant).is_none()) {
            return Err(format!("there is no tenant {tenant:?}"));
        }
        let is_known = |issuer: &str| {
            PLAYED.contains(&issuer)
                || self.issuers.iter().any(|known| known.issuer == issuer)
                || self.own_tenant(issuer, hosts).is_some()
        };
        match app.federations.iter().find(|record| !is_known(&record.issuer)) {
            None => Ok(()),
            Some(record) => Err(format!(
                "the emulator does not play the issuer {:?}, and nothing tells its keys; it plays {}, and its own tenants",
                record.issuer,
                PLAYED.join(", ")
            )),
        }
    }

    fn check_user(&self, user: &User, index: usize) -> Result<(), String> {
        let User { name, password, object_id, tenant, .. } = user;
        if name.is_empty() || password.is_empty() {
            return Err("a user needs a name and a password".to_owned());
        }
        // It is a part of a path, of XML and of HTML.
        if !is_visible(name) || name.contains(['/', '?', '#', '%', '<', '>', '&', '"', '\\']) {
            return Err(format!("the name {name:?} of a user must be one like ada@contoso.example"));
        }
        if !is_guid(object_id) {
            return Err(format!("the object id {object_id:?} is no GUID"));
        }
        for other in before(&self.users, index) {
            if other.name.eq_ignore_ascii_case(name) {
                return Err(format!("the user {name} is there twice"));
            }
            if other.object_id.eq_ignore_ascii_case(object_id) {
                return Err(format!("the object id {object_id} is that of the user {}, too", other.name));
            }
        }
        match tenant.as_deref().filter(|tenant| self.tenant(tenant).is_none()) {
            None => Ok(()),
            Some(tenant) => Err(format!("there is no tenant {tenant:?}")),
        }
    }

    fn check_subscription(&self, subscription: &Subscription, index: usize) -> Result<(), String> {
        let Subscription { id, name, tenant } = subscription;
        if !is_guid(id) {
            return Err(format!("the id {id:?} of a subscription is no GUID"));
        }
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(format!("the name {name:?} of a subscription must be a line of text"));
        }
        if before(&self.subscriptions, index).any(|other| other.id.eq_ignore_ascii_case(id)) {
            return Err(format!("the subscription {id} is there twice"));
        }
        match tenant.as_deref().filter(|tenant| self.tenant(tenant).is_none()) {
            None => Ok(()),
            Some(tenant) => Err(format!("there is no tenant {tenant:?}")),
        }
    }
}

fn before<T>(list: &[T], index: usize) -> impl Iterator<Item = &T> {
    list.iter().take(index)
}

/// True for a text without spaces that a header can carry.
pub(super) fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What stands in a path where a tenant could.
const RESERVED: [&str; 4] = ["common", "organizations", "consumers", "adfs"];
/// The issuers of others that the emulator plays.
pub(crate) const PLAYED: [&str; 3] = [KUBERNETES_ISSUER, PIPELINES_ISSUER, GITHUB_ISSUER];
