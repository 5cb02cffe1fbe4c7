//! The resources (audiences) that tokens can be asked for.

/// The audiences of Azure's own services that every emulator knows.
///
/// Source: "Azure services that support Microsoft Entra authentication", learn.microsoft.com, and the
/// endpoint lists of the Azure CLI; public cloud, Azure Government and Azure operated by 21Vianet.
const WELL_KNOWN: &[&str] = &[
    "https://management.azure.com",
    "https://management.core.windows.net",
    "https://management.usgovcloudapi.net",
    "https://management.core.usgovcloudapi.net",
    "https://management.chinacloudapi.cn",
    "https://management.core.chinacloudapi.cn",
    "https://graph.microsoft.com",
    "https://graph.windows.net",
    "https://storage.azure.com",
    "https://disk.azure.com",
    "https://vault.azure.net",
    "https://vault.usgovcloudapi.net",
    "https://vault.azure.cn",
    "https://managedhsm.azure.net",
    "https://attest.azure.net",
    "https://confidential-ledger.azure.com",
    "https://database.windows.net",
    "https://database.usgovcloudapi.net",
    "https://database.chinacloudapi.cn",
    "https://ossrdbms-aad.database.windows.net",
    "https://cosmos.azure.com",
    "https://redis.azure.com",
    "https://servicebus.azure.net",
    "https://eventhubs.azure.net",
    "https://eventgrid.azure.net",
    "https://relay.azure.net",
    "https://cognitiveservices.azure.com",
    "https://ai.azure.com",
    "https://ml.azure.com",
    "https://search.azure.com",
    "https://azconfig.io",
    "https://appconfig.azure.com",
    "https://monitor.azure.com",
    "https://api.loganalytics.io",
    "https://api.applicationinsights.io",
    "https://prometheus.monitor.azure.com",
    "https://batch.core.windows.net",
    "https://datalake.azure.net",
    "https://dev.azuresynapse.net",
    "https://purview.azure.net",
    "https://kusto.kusto.windows.net",
    "https://digitaltwins.azure.net",
    "https://communication.azure.com",
    "https://containerregistry.azure.net",
    "https://azurerm.core.windows.net",
    "https://signalr.azure.com",
    "https://webpubsub.azure.com",
    "https://token.botframework.com",
    // Workload identity federation, in each cloud.
    "api://AzureADTokenExchange",
    "api://AzureADTokenExchangeUSGov",
    "api://AzureADTokenExchangeChina",
    // Azure Databricks, Azure Storage and AKS AAD server, by application id.
    "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d",
    "e406a681-f3d4-42a8-90b6-c2b029497af1",
    "6dae42f8-4368-4678-94ff-3960e28e3630",
];

/// What the tenant of the emulator knows as resources.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources {
    pub(crate) extra: Vec<String>,
    pub(crate) any: bool,
}

impl Resources {
    /// True if a token may be issued for it. One trailing slash makes no difference, nor does case.
    pub(crate) fn knows(&self, resource: &str) -> bool {
        let asked = resource.strip_suffix('/').unwrap_or(resource);
        let same = |known: &str| known.strip_suffix('/').unwrap_or(known).eq_ignore_ascii_case(asked);
        WELL_KNOWN.iter().any(|known| same(known))
            || self.extra.iter().any(|known| same(known))
            || is_storage_account(asked)
            || (self.any && is_identifier_uri(asked))
    }
}

/// A storage account or a vault of one's own is its own audience: `https://NAME.blob.core.windows.net`.
fn is_storage_account(asked: &str) -> bool {
    ["blob", "queue", "table", "file", "dfs"].iter().any(|service| {
        asked
            .strip_prefix("https://")
            .and_then(|rest| rest.strip_suffix(".core.windows.net"))
            .and_then(|rest| rest.strip_suffix(service))
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|name| {
                (3..=24).contains(&name.len())
                    && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            })
    })
}

/// An application id URI that an administrator could have registered; a scope is none.
fn is_identifier_uri(asked: &str) -> bool {
    let rest = asked.strip_prefix("https://").or_else(|| asked.strip_prefix("api://"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    rest.is_some_and(|rest| {
        rest.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
            && rest.bytes().all(plain)
            && !rest.ends_with("/.default")
            && !rest.ends_with('/')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_resources_are_known_with_and_without_a_slash() {
        let resources = Resources { extra: vec!["api://mine".to_owned()], any: false };
        for known in [
            "https://vault.azure.net",
            "https://vault.azure.net/",
            "HTTPS://Vault.Azure.Net",
            "api://mine",
            "api://mine/",
            "https://acct1.blob.core.windows.net",
        ] {
            assert!(resources.knows(known), "{known}");
        }
        for unknown in [
            "",
            "/",
            "https://vault.azure.net//",
            "https://vault.azure.net/.default",
            "http://vault.azure.net",
            "https://vault.azure.net.evil.example",
            "api://other",
            "https://UP.blob.core.windows.net",
            "https://a.b.blob.core.windows.net",
        ] {
            assert!(!resources.knows(unknown), "{unknown}");
        }
    }

    #[test]
    fn the_switch_admits_identifier_uris_and_nothing_else() {
        let resources = Resources { extra: Vec::new(), any: true };
        for known in ["api://b3c0a6b2", "https://contoso.example/app", "https://contoso.example/"] {
            assert!(resources.knows(known), "{known}");
        }
        for unknown in [
            "",
            "https://",
            "http://contoso.example",
            "https://contoso.example/.default",
            "https://contoso.example//",
            "https://a b",
            "ftp://x",
            "api:///x",
        ] {
            assert!(!resources.knows(unknown), "{unknown}");
        }
    }
}
