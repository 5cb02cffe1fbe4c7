//! Subscriptions of Azure.

use super::derived_guid;

/// A subscription of Azure, which Azure Resource Manager lists to everybody who signs in to its tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) tenant: Option<String>,
}

impl Subscription {
    /// A subscription of the home tenant with this name; the id is derived from the name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { id: derived_guid(&name), name, tenant: None }
    }

    /// Sets the id, a GUID.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets the tenant, by id or domain name.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// The id, a GUID.
    #[must_use]
    pub fn subscription_id(&self) -> &str {
        &self.id
    }

    /// The name that people see.
    #[must_use]
    pub fn display_name(&self) -> &str {
        &self.name
    }
}
