//! The identities that the emulated machine has, and how a request picks one.

/// The tenant of every identity and token, unless [`tenant_id`](crate::Builder::tenant_id) changes it.
pub const TENANT_ID: &str = "7e57ab1e-0000-4000-8000-000000000001";
/// The subscription that the fixed resource ids name, and the one that the built-in directory has.
pub const SUBSCRIPTION_ID: &str = "7e57ab1e-0000-4000-8000-000000000002";
/// The client id of the system-assigned identity.
pub const SYSTEM_CLIENT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000c0";
/// The object id of the system-assigned identity.
pub const SYSTEM_OBJECT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000d0";
/// The client id of the first user-assigned identity, `blue`.
pub const BLUE_CLIENT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000c1";
/// The object id of the first user-assigned identity, `blue`.
pub const BLUE_OBJECT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000d1";
/// The resource id of the first user-assigned identity, `blue`.
pub const BLUE_RESOURCE_ID: &str = "/subscriptions/7e57ab1e-0000-4000-8000-000000000002/resourceGroups/emulator/providers/Microsoft.ManagedIdentity/userAssignedIdentities/blue";
/// The client id of the second user-assigned identity, `green`.
pub const GREEN_CLIENT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000c2";
/// The object id of the second user-assigned identity, `green`.
pub const GREEN_OBJECT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000d2";
/// The resource id of the second user-assigned identity, `green`.
pub const GREEN_RESOURCE_ID: &str = "/subscriptions/7e57ab1e-0000-4000-8000-000000000002/resourceGroups/emulator/providers/Microsoft.ManagedIdentity/userAssignedIdentities/green";

/// The resource id of the emulated machine: `xms_mirid` of the system-assigned identity.
pub(crate) const MACHINE_RESOURCE_ID: &str = "/subscriptions/7e57ab1e-0000-4000-8000-000000000002/resourcegroups/emulator/providers/Microsoft.Compute/virtualMachines/emulator";

/// One managed identity of the emulated machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    client_id: String,
    object_id: String,
    resource_id: String,
}

impl Identity {
    /// An identity with these ids; no two identities of one emulator should share any.
    #[must_use]
    pub fn new(client_id: impl Into<String>, object_id: impl Into<String>, resource_id: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), object_id: object_id.into(), resource_id: resource_id.into() }
    }

    pub(crate) fn system() -> Self {
        Self::new(SYSTEM_CLIENT_ID, SYSTEM_OBJECT_ID, MACHINE_RESOURCE_ID)
    }

    pub(crate) fn defaults() -> Vec<Self> {
        vec![
            Self::new(BLUE_CLIENT_ID, BLUE_OBJECT_ID, BLUE_RESOURCE_ID),
            Self::new(GREEN_CLIENT_ID, GREEN_OBJECT_ID, GREEN_RESOURCE_ID),
        ]
    }

    /// The application (client) id: `appid` in tokens.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The object (principal) id: `oid` and `sub` in tokens.
    #[must_use]
    pub fn object_id(&self) -> &str {
        &self.object_id
    }

    /// The ARM resource id: `xms_mirid` in tokens.
    #[must_use]
    pub fn resource_id(&self) -> &str {
        &self.resource_id
    }

    /// True if the id of that kind is `wanted`; ids are compared without regard to case, as Azure does.
    pub(crate) fn has(&self, kind: IdKind, wanted: &str) -> bool {
        let id = match kind {
            IdKind::Client => &self.client_id,
            IdKind::Object => &self.object_id,
            IdKind::Resource => &self.resource_id,
        };
        id.eq_ignore_ascii_case(wanted)
    }
}

/// Which of an identity's three ids a request gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdKind {
    Client,
    Object,
    Resource,
}
