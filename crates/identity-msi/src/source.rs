//! The sources of managed identity, as data: what each is asked with, and which variables choose it.

use crate::env::{
    AZURE_AUTHORITY_HOST, AZURE_FEDERATED_TOKEN_FILE, AZURE_POD_IDENTITY_AUTHORITY_HOST, AZURE_TENANT_ID,
    IDENTITY_ENDPOINT, IDENTITY_HEADER, IDENTITY_SERVER_THUMBPRINT, IMDS_ENDPOINT, MSI_ENDPOINT, MSI_SECRET,
};

/// A service that gives a program the tokens of where it runs.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) kind: Kind,
    /// As people know it.
    pub(crate) name: &'static str,
    /// Empty where the service has no versions.
    pub(crate) api_version: &'static str,
    /// Whether `Metadata: true` is sent, which no browser and no careless proxy adds.
    pub(crate) metadata: bool,
    /// The header that proves that the caller may read this process's variables, and the variable with its value.
    pub(crate) secret: Option<(&'static str, &'static str)>,
    /// The parameters for a client id, object id and resource id; empty where the service takes none.
    pub(crate) ids: [&'static str; 3],
}

/// Tells the sources apart where data is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Imds,
    AppService,
    AzureArc,
    ServiceFabric,
    AzureMl,
    CloudShell,
}

/// Source: <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>.
pub(crate) static IMDS: Source = Source {
    kind: Kind::Imds,
    name: "IMDS",
    api_version: "2018-02-01",
    metadata: true,
    secret: None,
    ids: ["client_id", "object_id", "msi_res_id"],
};

/// Also Functions and Container Apps. Azure Automation looks the same, and wants the `Metadata` header.
///
/// Source: <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>.
static APP_SERVICE: Source = Source {
    kind: Kind::AppService,
    name: "App Service",
    api_version: "2019-08-01",
    metadata: true,
    secret: Some(("x-identity-header", IDENTITY_HEADER)),
    ids: ["client_id", "object_id", "mi_res_id"],
};

/// Source: <https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication>.
pub(crate) static AZURE_ARC: Source = Source {
    kind: Kind::AzureArc,
    name: "Azure Arc",
    api_version: "2020-06-01",
    metadata: true,
    secret: None,
    ids: ["client_id", "object_id", "msi_res_id"],
};

/// Source: <https://learn.microsoft.com/azure/service-fabric/how-to-managed-identity-service-fabric-app-code>.
static SERVICE_FABRIC: Source = Source {
    kind: Kind::ServiceFabric,
    name: "Service Fabric",
    api_version: "2019-07-01-preview",
    metadata: false,
    secret: Some(("secret", IDENTITY_HEADER)),
    ids: ["", "", ""],
};

/// Source: azure-identity 1.27.0, `_credentials/azure_ml.py`; the service takes client ids only.
static AZURE_ML: Source = Source {
    kind: Kind::AzureMl,
    name: "Azure ML",
    api_version: "2017-09-01",
    metadata: false,
    secret: Some(("secret", MSI_SECRET)),
    ids: ["clientid", "", ""],
};

/// Source: azure-identity 1.27.0, `_credentials/cloud_shell.py`.
static CLOUD_SHELL: Source = Source {
    kind: Kind::CloudShell,
    name: "Cloud Shell",
    api_version: "",
    metadata: true,
    secret: None,
    ids: ["", "", ""],
};

/// What a set of variables means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// This source, at the URL in the first variable.
    Ask(&'static Source),
    /// No source: something is missing beside the first variable.
    Incomplete,
    /// The exchange of a token that Kubernetes issued, which is workload identity.
    TokenExchange,
}

/// Which variables choose what: the first row of which all are set. An empty variable is not set. If no row fits, it is
/// the Azure Arc agent if one is installed, else IMDS.
///
/// Source: azure-identity 1.27.0, `_credentials/managed_identity.py`.
pub(crate) static CHOICES: [(&[&str], Choice); 7] = [
    (&[IDENTITY_ENDPOINT, IDENTITY_HEADER, IDENTITY_SERVER_THUMBPRINT], Choice::Ask(&SERVICE_FABRIC)),
    (&[IDENTITY_ENDPOINT, IDENTITY_HEADER], Choice::Ask(&APP_SERVICE)),
    (&[IDENTITY_ENDPOINT, IMDS_ENDPOINT], Choice::Ask(&AZURE_ARC)),
    (&[IDENTITY_ENDPOINT], Choice::Incomplete),
    (&[MSI_ENDPOINT, MSI_SECRET], Choice::Ask(&AZURE_ML)),
    (&[MSI_ENDPOINT], Choice::Ask(&CLOUD_SHELL)),
    (&[AZURE_FEDERATED_TOKEN_FILE, AZURE_AUTHORITY_HOST, AZURE_TENANT_ID], Choice::TokenExchange),
];

/// The variables of all rows, and the one that says where IMDS is.
pub(crate) static VARIABLES: [&str; 10] = [
    IDENTITY_ENDPOINT,
    IDENTITY_HEADER,
    IDENTITY_SERVER_THUMBPRINT,
    IMDS_ENDPOINT,
    MSI_ENDPOINT,
    MSI_SECRET,
    AZURE_FEDERATED_TOKEN_FILE,
    AZURE_AUTHORITY_HOST,
    AZURE_TENANT_ID,
    AZURE_POD_IDENTITY_AUTHORITY_HOST,
];

/// What `source()` says where there is none.
pub(crate) const NO_SOURCE: &str = "none";
/// What `source()` says for [`Choice::TokenExchange`].
pub(crate) const TOKEN_EXCHANGE: &str = "token exchange";

/// How an identity of the user's choice is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdKind {
    Client,
    Object,
    Resource,
}

impl IdKind {
    /// For messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client id",
            Self::Object => "object id",
            Self::Resource => "resource id",
        }
    }

    /// The parameter under which `source` takes it; `None` if it does not.
    pub(crate) fn parameter(self, source: &Source) -> Option<&'static str> {
        let [client, object, resource] = source.ids;
        let name = match self {
            Self::Client => client,
            Self::Object => object,
            Self::Resource => resource,
        };
        Some(name).filter(|name| !name.is_empty())
    }

    /// The fields of an answer that name the identity which it is for.
    pub(crate) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Client => &["client_id"],
            Self::Object => &["object_id"],
            Self::Resource => &["msi_res_id", "mi_res_id"],
        }
    }
}
