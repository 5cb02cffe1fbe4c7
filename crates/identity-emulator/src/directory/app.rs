//! Tenants and applications.

use std::fmt;
use std::time::SystemTime;

use crate::directory::check::is_visible;
use crate::directory::derived_guid;
use crate::text::is_guid;
use crate::x509::Certificate;

/// A tenant of Entra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub(crate) id: String,
    pub(crate) domains: Vec<String>,
}

impl Tenant {
    /// A tenant with this id, usually a GUID.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), domains: Vec::new() }
    }

    /// Adds a domain name by which clients may call the tenant.
    #[must_use]
    pub fn domain(mut self, name: impl Into<String>) -> Self {
        self.domains.push(name.into());
        self
    }

    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.id.eq_ignore_ascii_case(name) || self.domains.iter().any(|domain| domain.eq_ignore_ascii_case(name))
    }
}

/// An application that is registered in Entra.
///
/// It lives in the home tenant, unless [`tenant`](Self::tenant) names others.
#[derive(Clone)]
#[cfg_attr(test, derive(PartialEq))]
pub struct App {
    pub(crate) client_id: String,
    pub(crate) object_id: String,
    pub(crate) name: String,
    pub(crate) tenants: Vec<String>,
    pub(crate) secrets: Vec<Secret>,
    /// In PEM.
    pub(crate) certificates: Vec<String>,
    /// Common names, each with the PEM of the CA that must have issued the certificate.
    pub(crate) subject_names: Vec<(String, String)>,
    pub(crate) federations: Vec<Federation>,
    pub(crate) resources: Vec<String>,
    /// Resources, each with a role that the application has there.
    pub(crate) roles: Vec<(String, String)>,
    /// Where it may let people be sent back to.
    pub(crate) redirect_uris: Vec<String>,
    /// What its users can allow others to do.
    pub(crate) scopes: Vec<String>,
    /// Resources, each with what its users have allowed it there.
    pub(crate) consents: Vec<(String, String)>,
    /// The version of the tokens for it, 1 or 2.
    pub(crate) token_version: u8,
    pub(crate) disabled: bool,
    pub(crate) public: bool,
    pub(crate) consented: bool,
    pub(crate) blocked: bool,
}

/// A client secret.
#[derive(Clone)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Secret {
    pub(crate) value: String,
    pub(crate) expires: Option<SystemTime>,
}

/// Whose tokens an application accepts in place of its own credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Federation {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audience: String,
}

impl App {
    /// An application without any credential.
    #[must_use]
    pub fn new(client_id: impl Into<String>) -> Self {
        let client_id = client_id.into();
        Self {
            object_id: derived_guid(&client_id),
            name: "emulated".to_owned(),
            client_id,
            tenants: Vec::new(),
            secrets: Vec::new(),
            certificates: Vec::new(),
            subject_names: Vec::new(),
            federations: Vec::new(),
            resources: Vec::new(),
            roles: Vec::new(),
            redirect_uris: Vec::new(),
            scopes: Vec::new(),
            consents: Vec::new(),
            token_version: 1,
            disabled: false,
            public: false,
            consented: true,
            blocked: false,
        }
    }

    /// Sets the name that errors show; the default is `emulated`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the object id of its service principal, `oid` in tokens; the default is derived from the client id.
    #[must_use]
    pub fn object_id(mut self, object_id: impl Into<String>) -> Self {
        self.object_id = object_id.into();
        self
    }

    /// Makes the application known in a tenant, by id or domain name; the default is the home tenant only.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenants.push(tenant.into());
        self
    }

    /// Adds a client secret that never expires.
    #[must_use]
    pub fn secret(mut self, value: impl Into<String>) -> Self {
        self.secrets.push(Secret { value: value.into(), expires: None });
        self
    }

    /// Adds a client secret that is good until then.
    #[must_use]
    pub fn secret_until(mut self, value: impl Into<String>, expires: SystemTime) -> Self {
        self.secrets.push(Secret { value: value.into(), expires: Some(expires) });
        self
    }

    /// Registers a certificate, in PEM: assertions that its RSA key signs are accepted.
    #[must_use]
    pub fn certificate_pem(mut self, pem: impl Into<String>) -> Self {
        self.certificates.push(pem.into());
        self
    }

    /// Accepts any certificate with this common name that the CA, in PEM, has issued, if the assertion brings its chain.
    ///
    /// This is "subject name and issuer" authentication.
    #[must_use]
    pub fn subject_name(mut self, common_name: impl Into<String>, ca_pem: impl Into<String>) -> Self {
        self.subject_names.push((common_name.into(), ca_pem.into()));
        self
    }

    /// Accepts tokens of another issuer as assertions, if all three claims match exactly.
    #[must_use]
    pub fn federated(
        mut self,
        issuer: impl Into<String>,
        subject: impl Into<String>,
        audience: impl Into<String>,
    ) -> Self {
        let (issuer, subject, audience) = (issuer.into(), subject.into(), audience.into());
        self.federations.push(Federation { issuer, subject, audience });
        self
    }

    /// Restricts the resources that the application gets tokens for; the default is all that the tenant knows.
    #[must_use]
    pub fn only_resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Gives the application a role at a resource, such as `User.Read.All` at `https://graph.microsoft.com`: `roles` in its own
    /// tokens for that resource.
    #[must_use]
    pub fn role(mut self, resource: impl Into<String>, role: impl Into<String>) -> Self {
        self.roles.push((resource.into(), role.into()));
        self
    }

    /// Registers a redirect URI, which requests must name exactly.
    ///
    /// With `http://localhost` and `http://127.0.0.1` any port will do, as with the real service.
    #[must_use]
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uris.push(uri.into());
        self
    }

    /// Lets users allow others to do this with the application as a resource, such as `Files.Read`; the default is
    /// `user_impersonation` alone.
    #[must_use]
    pub fn scope(mut self, name: impl Into<String>) -> Self {
        self.scopes.push(name.into());
        self
    }

    /// Lets the application have this for its users, such as `User.Read` at `https://graph.microsoft.com`, and of all else
    /// only what is given so, too (AADSTS65001); the default is whatever there is.
    #[must_use]
    pub fn consent(mut self, resource: impl Into<String>, scope: impl Into<String>) -> Self {
        self.consents.push((resource.into(), scope.into()));
        self
    }

    /// Sets the version of the tokens for this application as a resource, 1 or 2; the default is 1.
    ///
    /// A token of version 2 has the client id as its audience, and `azp` in place of `appid`.
    #[must_use]
    pub fn access_token_version(mut self, version: u8) -> Self {
        self.token_version = version;
        self
    }

    /// Disables the application (AADSTS7000112).
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// Makes it a public client, which has no credential and may show none (AADSTS700025).
    #[must_use]
    pub fn public_client(mut self) -> Self {
        self.public = true;
        self
    }

    /// Takes the administrator's consent away: its own tokens have no roles, and users get none (AADSTS65001).
    ///
    /// A program that acts for itself gets a token all the same, as from the real service; what refuses it is the resource.
    #[must_use]
    pub fn without_consent(mut self) -> Self {
        self.consented = false;
        self
    }

    /// Lets Conditional Access block every token (AADSTS53003).
    #[must_use]
    pub fn blocked_by_policy(mut self) -> Self {
        self.blocked = true;
        self
    }

    /// The application (client) id: `appid` in tokens.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The roles that it has at a resource.
    pub(crate) fn roles_at(&self, resource: &str) -> Vec<&str> {
        let asked = plain(resource);
        let at = self.roles.iter().filter(|(known, _)| self.consented && plain(known) == asked);
        at.map(|(_, role)| role.as_str()).collect()
    }

    /// The first secret that has not expired.
    pub(crate) fn good_secret(&self, now: SystemTime) -> Option<&str> {
        let good = self.secrets.iter().find(|secret| secret.expires.is_none_or(|expires| now < expires))?;
        Some(&good.value)
    }

    /// What it may do for its users at a resource; `None` for whatever there is.
    pub(crate) fn consents_at(&self, resource: &str) -> Option<Vec<&str>> {
        if self.consented && self.consents.is_empty() {
            return None;
        }
        let asked = plain(resource);
        let at = self.consents.iter().filter(|(known, _)| self.consented && plain(known) == asked);
        Some(at.map(|(_, scope)| scope.as_str()).collect())
    }

    /// What its users can allow others to do.
    pub(crate) fn exposed(&self) -> Vec<&str> {
        let own: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        if own.is_empty() { vec![IMPERSONATION] } else { own }
    }

    /// Finds what cannot work, whatever else there is.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { client_id: id, .. } = self;
        if !is_guid(id) || !is_guid(&self.object_id) {
            return Err(format!("the client id and the object id of app {id:?} must be GUIDs"));
        }
        if self.secrets.iter().any(|secret| secret.value.is_empty()) {
            return Err(format!("a secret of app {id} is empty"));
        }
        for pem in &self.certificates {
            let Some(certificate) = Certificate::from_pem(pem) else {
                return Err(format!("a certificate of app {id} is no certificate in PEM"));
            };
            if certificate.rsa_key().is_none() {
                return Err(format!("a certificate of app {id} has no RSA key, and Entra takes no other"));
            }
        }
        for (name, pem) in &self.subject_names {
            let ca = Certificate::from_pem(pem);
            if name.is_empty() || !ca.is_some_and(|ca| ca.may_issue(0)) {
                return Err(format!("the subject name {name:?} of app {id} needs the certificate of a CA in PEM"));
            }
        }
        let records = self.federations.iter();
        if records.clone().any(|one| one.issuer.is_empty() || one.subject.is_empty() || one.audience.is_empty()) {
            return Err(format!("a federated credential of app {id} has an empty part"));
        }
        let has_credential =
            !self.secrets.is_empty() || !self.certificates.is_empty() || !self.subject_names.is_empty();
        if self.public && (has_credential || records.len() > 0) {
            return Err(format!("app {id} is a public client, which has no credential"));
        }
        let pairs = self.roles.iter().chain(&self.consents).flat_map(|(resource, word)| [resource, word]);
        let mut texts = self.resources.iter().chain(&self.redirect_uris).chain(&self.scopes).chain(pairs);
        if let Some(wrong) = texts.find(|text| !is_visible(text)) {
            return Err(format!("{wrong:?} of app {id} must consist of visible ASCII characters"));
        }
        if let Some(uri) = self.redirect_uris.iter().find(|uri| !is_redirect_uri(uri)) {
            return Err(format!(
                "the redirect URI {uri:?} of app {id} must be a URI without a fragment: https, or http for this machine alone"
            ));
        }
        let names = self.scopes.iter().chain(self.consents.iter().map(|(_, scope)| scope));
        if let Some(wrong) = names.into_iter().find(|name| name.contains('/')) {
            return Err(format!("the scope {wrong:?} of app {id} must be a bare name, without its resource"));
        }
        if ![1, 2].contains(&self.token_version) {
            return Err(format!("the tokens for app {id} are of version 1 or 2, not {}", self.token_version));
        }
        Ok(())
    }
}

/// What is compared of a resource: without case, a slash at its end, and `api://` before a GUID.
pub(crate) fn plain(resource: &str) -> String {
    let lower = resource.strip_suffix('/').unwrap_or(resource).to_ascii_lowercase();
    lower.strip_prefix("api://").filter(|id| is_guid(id)).map(str::to_owned).unwrap_or(lower)
}

/// True for what people may be sent back to: their own machine, another over TLS, or a program of theirs.
fn is_redirect_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let authority = rest.strip_prefix("//").unwrap_or_default().split(['/', '?']).next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default();
    let mut letters = scheme.bytes();
    let is_scheme = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_there = match scheme.to_ascii_lowercase().as_str() {
        "https" => !host.is_empty(),
        // A name in front of an `@` would be no host.
        "http" => ["localhost", "127.0.0.1"].contains(&host) && !authority.contains('@'),
        // They would run in the page, or show whatever they say.
        "javascript" | "data" | "vbscript" | "file" | "about" | "blob" => false,
        _ => !rest.is_empty(),
    };
    is_scheme && is_there && !uri.contains('#')
}

/// What a resource lets users allow if it says nothing else.
pub(crate) const IMPERSONATION: &str = "user_impersonation";

/// Prints no secret.
impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("client_id", &self.client_id)
            .field("name", &self.name)
            .field("tenants", &self.tenants)
            .field("secrets", &self.secrets.len())
            .field("certificates", &self.certificates.len())
            .field("federations", &self.federations)
            .finish_non_exhaustive()
    }
}
