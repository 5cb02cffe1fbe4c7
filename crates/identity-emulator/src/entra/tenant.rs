//! The first part of a path: which tenant, or which group of tenants.

use crate::directory::{Directory, Tenant};
use crate::endpoints::Refusal;
use crate::entra::known;
use crate::text::{is_domain, is_guid};

/// Whom a request addresses.
pub(crate) struct Realm<'a> {
    pub(crate) directory: &'a Directory,
    /// As the path has it.
    pub(crate) name: String,
    /// The tenant; `None` for `common`, `organizations` and `consumers`.
    pub(crate) tenant: Option<&'a Tenant>,
    pub(crate) is_adfs: bool,
}

impl<'a> Realm<'a> {
    pub(crate) fn find(directory: &'a Directory, name: &str) -> Result<Self, Refusal> {
        let is_adfs = name == "adfs";
        let tenant = if is_adfs { directory.tenants.first() } else { directory.tenant(name) };
        let is_group = ["common", "organizations", "consumers"].contains(&name);
        if tenant.is_none() && !is_group {
            return Err(if is_guid(name) || is_domain(name) {
                known(
                    90002,
                    format!(
                        "Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. \
                         Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
                    ),
                )
            } else {
                known(
                    900_023,
                    format!(
                        "Specified tenant identifier '{name}' is neither a valid DNS name, nor a valid external domain."
                    ),
                )
            });
        }
        Ok(Self { directory, name: name.to_owned(), tenant, is_adfs })
    }

    /// The name of the group, if it is one.
    pub(crate) fn group(&self) -> Option<&str> {
        self.tenant.is_none().then_some(self.name.as_str())
    }

    /// What stands for the tenant in URLs: its id, or the group.
    pub(crate) fn segment(&self) -> &str {
        match self.tenant {
            Some(_) if self.is_adfs => "adfs",
            Some(tenant) => &tenant.id,
            None => &self.name,
        }
    }
}
