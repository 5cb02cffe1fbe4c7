//! People.

use std::fmt;

/// A person who can sign in at Entra.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) object_id: String,
    pub(crate) tenant: Option<String>,
}

impl User {
    /// A person of the home tenant; the object id is derived from the name.
    #[must_use]
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        let name = name.into();
        Self { object_id: super::derived_guid(&name), name, password: password.into(), tenant: None }
    }

    /// Sets the object id, `oid` in tokens.
    #[must_use]
    pub fn object_id(mut self, object_id: impl Into<String>) -> Self {
        self.object_id = object_id.into();
        self
    }

    /// Sets the tenant, by id or domain name.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// The name to sign in with, such as `ada@contoso.example`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if that is the password.
    #[must_use]
    pub fn has_password(&self, password: &str) -> bool {
        self.password == password
    }
}

/// Prints no password.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, object_id, tenant, .. } = self;
        f.debug_struct("User")
            .field("name", name)
            .field("object_id", object_id)
            .field("tenant", tenant)
            .finish_non_exhaustive()
    }
}
