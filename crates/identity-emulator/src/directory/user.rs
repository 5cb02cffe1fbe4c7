//! People.

use std::fmt;

/// A person who can sign in at Entra.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) object_id: String,
    pub(crate) display_name: String,
    pub(crate) tenant: Option<String>,
    pub(crate) mfa: bool,
    pub(crate) federated: bool,
    pub(crate) disabled: bool,
    pub(crate) must_change_password: bool,
}

impl User {
    /// A person of the home tenant; the object id is derived from the name.
    #[must_use]
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            object_id: super::derived_guid(&name),
            display_name: name.split('@').next().unwrap_or_default().to_owned(),
            name,
            password: password.into(),
            tenant: None,
            mfa: false,
            federated: false,
            disabled: false,
            must_change_password: false,
        }
    }

    /// Sets the object id, `oid` in tokens.
    #[must_use]
    pub fn object_id(mut self, object_id: impl Into<String>) -> Self {
        self.object_id = object_id.into();
        self
    }

    /// Sets `name` in tokens; the default is what stands before the `@` of the name.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = name.into();
        self
    }

    /// Sets the tenant, by id or domain name.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Lets a policy demand a second factor: only the sign-in page has one (AADSTS50076 elsewhere).
    ///
    /// [`Emulator::authorization_code`](crate::Emulator::authorization_code) counts as the page,
    /// [`Emulator::user_token`](crate::Emulator::user_token) as a sign-in before there was the policy.
    #[must_use]
    pub fn mfa(mut self) -> Self {
        self.mfa = true;
        self
    }

    /// Lets AD FS know the password, and Entra not (AADSTS50126 for a password).
    #[must_use]
    pub fn federated(mut self) -> Self {
        self.federated = true;
        self
    }

    /// Disables the account (AADSTS50057).
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// Lets the password be one that has to be changed first (AADSTS50055).
    #[must_use]
    pub fn must_change_password(mut self) -> Self {
        self.must_change_password = true;
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
        let Self { name, object_id, tenant, mfa, federated, disabled, must_change_password, .. } = self;
        f.debug_struct("User")
            .field("name", name)
            .field("object_id", object_id)
            .field("tenant", tenant)
            .field("mfa", mfa)
            .field("federated", federated)
            .field("disabled", disabled)
            .field("must_change_password", must_change_password)
            .finish_non_exhaustive()
    }
}
