//! Tenants and applications.

use std::fmt;
use std::io;
use std::time::SystemTime;

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
    pub(crate) disabled: bool,
    pub(crate) public: bool,
    pub(crate) consented: bool,
    pub(crate) blocked: bool,
}

/// A client secret.
#[derive(Clone)]
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

    /// Disables the application (AADSTS7000112).
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// Makes it a public client, which may have no credential (AADSTS700025).
    #[must_use]
    pub fn public_client(mut self) -> Self {
        self.public = true;
        self
    }

    /// Takes the administrator's consent away (AADSTS65001).
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

    pub(crate) fn check(&self) -> io::Result<()> {
        if !is_guid(&self.client_id) || !is_guid(&self.object_id) {
            let message = format!("the client id and the object id of app {:?} must be GUIDs", self.client_id);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let pems = self.certificates.iter().chain(self.subject_names.iter().map(|(_, ca)| ca));
        for pem in pems {
            if Certificate::from_pem(pem).is_none() {
                let message = format!("a certificate of app {} is no certificate in PEM", self.client_id);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        Ok(())
    }
}

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
