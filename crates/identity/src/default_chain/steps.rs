//! What helps where nothing is available, by what can be seen of where the program runs.

use identity_core::Env;

use super::link::{ChainLink, VARIABLE, Wish};

/// The steps, the likeliest first; at least one.
pub(super) fn steps(env: &dyn Env, wish: Wish, is_in: impl Fn(ChainLink) -> bool) -> Vec<String> {
    let is_set = |name: &str| env.var_os(name).is_some_and(|value| !value.is_empty());
    let mut steps: Vec<&str> =
        PLACES.iter().filter(|(name, link, _)| is_in(*link) && is_set(name)).map(|row| row.2).collect();
    // Two variables of one place say the same.
    steps.dedup();
    // Where no place is known it is a developer's machine more often than anything else.
    let everywhere = EVERYWHERE.iter().filter(|(link, _)| is_in(*link)).map(|row| row.1);
    match steps.is_empty() {
        true => steps.extend(everywhere),
        // Tools are in no service, but a build machine may have them.
        false => steps.extend(everywhere.filter(|step| *step != ON_AZURE)),
    }
    let mut steps: Vec<String> = steps.into_iter().map(str::to_owned).collect();
    if wish != Wish::Nothing {
        steps.push(format!("unset {VARIABLE} to have all credentials tried"));
    }
    steps.push(DIAGNOSE.to_owned());
    steps
}

/// Variables that a place sets, whom they make likely, and what to do there.
///
/// Source: "Environment variables and app settings in Azure App Service" and "Environment variables in Azure Container Apps"
/// (learn.microsoft.com), "Service" (kubernetes.io), "Store information in variables" (docs.github.com), "Use predefined
/// variables" (learn.microsoft.com/azure/devops).
const PLACES: [(&str, ChainLink, &str); 6] = [
    ("WEBSITE_SITE_NAME", ChainLink::ManagedIdentity, IN_APP_SERVICE),
    ("FUNCTIONS_WORKER_RUNTIME", ChainLink::ManagedIdentity, IN_APP_SERVICE),
    (
        "CONTAINER_APP_NAME",
        ChainLink::ManagedIdentity,
        "turn on a managed identity of this container app (`az containerapp identity assign`), and start a new revision",
    ),
    (
        "KUBERNETES_SERVICE_HOST",
        ChainLink::WorkloadIdentity,
        "give this pod a workload identity: the service account needs the annotation azure.workload.identity/client-id, the pod the label azure.workload.identity/use=true",
    ),
    (
        "GITHUB_ACTIONS",
        ChainLink::AzureCli,
        "run the action azure/login before this step, with `permissions: id-token: write`; or use GithubActionsCredential",
    ),
    (
        "TF_BUILD",
        ChainLink::AzureCli,
        "run this in a task AzureCLI@2 with a service connection; or use AzurePipelinesCredential",
    ),
];

const IN_APP_SERVICE: &str = "turn on a managed identity of this app (`az webapp identity assign`), and restart it: IDENTITY_ENDPOINT is set then";

/// For the rest, the likeliest first.
const EVERYWHERE: [(ChainLink, &str); 3] = [
    (
        ChainLink::AzureCli,
        "on a developer's machine: install the Azure CLI, https://aka.ms/azure-cli tells how, and run `az login`",
    ),
    (
        ChainLink::Environment,
        "for an application of its own: set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or AZURE_CLIENT_CERTIFICATE_PATH",
    ),
    (ChainLink::ManagedIdentity, ON_AZURE),
];

const ON_AZURE: &str = "on Azure: give the machine or service a managed identity";

const DIAGNOSE: &str = "see what each of them finds: run `identity diagnose`";

#[cfg(test)]
mod tests {
    use identity_core::fakes::FakeEnv;

    use super::*;

    #[test]
    fn where_the_program_runs_decides_what_comes_first() {
        let first = |variables: &[(&str, &str)]| steps(&FakeEnv::new(variables), Wish::Nothing, |_| true).remove(0);
        assert!(first(&[]).contains("`az login`"));
        assert!(first(&[("WEBSITE_SITE_NAME", "")]).contains("`az login`"), "an empty variable is not set");
        for (name, fragment) in [
            ("WEBSITE_SITE_NAME", "az webapp identity assign"),
            ("FUNCTIONS_WORKER_RUNTIME", "az webapp identity assign"),
            ("CONTAINER_APP_NAME", "az containerapp identity assign"),
            ("KUBERNETES_SERVICE_HOST", "azure.workload.identity/client-id"),
            ("GITHUB_ACTIONS", "azure/login"),
            ("TF_BUILD", "AzureCLI@2"),
        ] {
            assert!(first(&[(name, "1")]).contains(fragment), "{name}");
        }
    }

    #[test]
    fn no_step_is_for_what_is_left_out_nor_told_twice() {
        let env = FakeEnv::new(&[("WEBSITE_SITE_NAME", "a"), ("FUNCTIONS_WORKER_RUNTIME", "b"), ("TF_BUILD", "c")]);
        let all = steps(&env, Wish::Prod, ChainLink::is_deployed);
        assert_eq!(all.len(), 4, "{all:#?}");
        assert!(all[0].contains("webapp") && all[1].contains("AZURE_CLIENT_SECRET"));
        assert!(all[2].contains("unset AZURE_TOKEN_CREDENTIALS"));
        assert_eq!(steps(&env, Wish::Nothing, |link| link == ChainLink::Broker), [DIAGNOSE]);
    }
}
