//! What helps where nothing is available, by what can be seen of where the program runs.

use identity_core::Env;

use super::link::{ChainLink, VARIABLE, Wish};

/// The steps, the likeliest first, each with the credential that it is about; at least one. `is_in` tells which credentials the
/// chain could use, `lacking` are the features that would bring more, and `requires_variable` says whether the program wants the
/// variable to be set.
pub(super) fn steps(
    env: &dyn Env,
    wish: Wish,
    requires_variable: bool,
    is_in: impl Fn(ChainLink) -> bool,
    lacking: &[&str],
) -> Vec<(&'static str, String)> {
    let is_set = |name: &str| env.var_os(name).is_some_and(|value| !value.is_empty());
    let mut steps: Vec<(ChainLink, String)> = Vec::new();
    for (sign, link, begun, step) in PLACES {
        if is_in(link) && is_set(sign) {
            // The platform has done its part.
            let step = if is_set(begun) { format!("solve what the line of {link} says") } else { step.to_owned() };
            // Two variables of one place say the same.
            if steps.iter().all(|(_, other)| *other != step) {
                steps.push((link, step));
            }
        }
    }
    // Where no place is known it is a developer's machine more often than anything else.
    let is_known = !steps.is_empty();
    for (link, step) in EVERYWHERE {
        if is_in(link) && !(is_known && step == ON_AZURE) {
            steps.push((link, step.to_owned()));
        }
    }
    // A build machine has `az`, which nobody can sign in to there by hand: its step is not the tool's own.
    let about = |link: ChainLink, step: &str| if IN_BUILDS.contains(&step) { "" } else { link.name() };
    let mut steps: Vec<(&str, String)> = steps.into_iter().map(|(link, step)| (about(link, &step), step)).collect();
    if !lacking.is_empty() {
        let step = format!("build the program with more credentials: the crate `identity` has {}", lacking.join(", "));
        steps.push(("", step));
    }
    match (wish, requires_variable) {
        (Wish::Nothing, _) => {}
        (_, false) => steps.push(("", format!("unset {VARIABLE} to have all credentials tried"))),
        (_, true) => steps.push(("", format!("set {VARIABLE} to another value to have other credentials tried"))),
    }
    steps.push(("", DIAGNOSE.to_owned()));
    steps
}

/// Variables that a place sets, whom they make likely, the variable by which the platform has begun with that, and what to do
/// where it has not.
///
/// Source: "Environment variables and app settings in Azure App Service" and "Environment variables in Azure Container Apps"
/// (learn.microsoft.com), "Service" (kubernetes.io), "Store information in variables" (docs.github.com), "Use predefined
/// variables" (learn.microsoft.com/azure/devops).
const PLACES: [(&str, ChainLink, &str, &str); 6] = [
    ("WEBSITE_SITE_NAME", ChainLink::ManagedIdentity, IDENTITY_ENDPOINT, IN_APP_SERVICE),
    ("FUNCTIONS_WORKER_RUNTIME", ChainLink::ManagedIdentity, IDENTITY_ENDPOINT, IN_APP_SERVICE),
    (
        "CONTAINER_APP_NAME",
        ChainLink::ManagedIdentity,
        IDENTITY_ENDPOINT,
        "turn on a managed identity of this container app (`az containerapp identity assign`), and start a new revision",
    ),
    (
        "KUBERNETES_SERVICE_HOST",
        ChainLink::WorkloadIdentity,
        "AZURE_FEDERATED_TOKEN_FILE",
        "give this pod a workload identity: the service account needs the annotation azure.workload.identity/client-id, the pod the label azure.workload.identity/use=true",
    ),
    ("GITHUB_ACTIONS", ChainLink::AzureCli, "", IN_BUILDS[0]),
    ("TF_BUILD", ChainLink::AzureCli, "", IN_BUILDS[1]),
];

const IN_BUILDS: [&str; 2] = [
    "run the action azure/login before this step, with `permissions: id-token: write`; or use GithubActionsCredential",
    "run this in a task AzureCLI@2 with a service connection; or use AzurePipelinesCredential",
];

const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
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

    fn told(variables: &[(&str, &str)], is_in: impl Fn(ChainLink) -> bool) -> Vec<String> {
        let steps = steps(&FakeEnv::new(variables), Wish::Nothing, false, is_in, &[]);
        steps.into_iter().map(|(_, step)| step).collect()
    }

    #[test]
    fn where_the_program_runs_decides_what_comes_first() {
        let first = |variables: &[(&str, &str)]| told(variables, |_| true).remove(0);
        assert!(first(&[]).contains("`az login`"));
        assert!(first(&[("WEBSITE_SITE_NAME", "")]).contains("`az login`"), "an empty variable is not set");
        for (name, fragment, begun, link) in [
            ("WEBSITE_SITE_NAME", "az webapp identity assign", "IDENTITY_ENDPOINT", "ManagedIdentityCredential"),
            ("FUNCTIONS_WORKER_RUNTIME", "az webapp identity assign", "IDENTITY_ENDPOINT", "ManagedIdentityCredential"),
            ("CONTAINER_APP_NAME", "az containerapp identity assign", "IDENTITY_ENDPOINT", "ManagedIdentityCredential"),
            (
                "KUBERNETES_SERVICE_HOST",
                "azure.workload.identity/client-id",
                "AZURE_FEDERATED_TOKEN_FILE",
                "WorkloadIdentityCredential",
            ),
            ("GITHUB_ACTIONS", "azure/login", "", ""),
            ("TF_BUILD", "AzureCLI@2", "", ""),
        ] {
            assert!(first(&[(name, "1")]).contains(fragment), "{name}");
            if !begun.is_empty() {
                assert_eq!(first(&[(name, "1"), (begun, "1")]), format!("solve what the line of {link} says"));
            }
        }
    }

    #[test]
    fn no_step_is_for_what_is_left_out_nor_told_twice() {
        let variables = [("WEBSITE_SITE_NAME", "a"), ("FUNCTIONS_WORKER_RUNTIME", "b"), ("TF_BUILD", "c")];
        let all = told(&variables, ChainLink::is_deployed);
        assert_eq!(all.len(), 3, "{all:#?}");
        assert!(all[0].contains("webapp") && all[1].contains("AZURE_CLIENT_SECRET"));
        assert_eq!(told(&variables, |link| link == ChainLink::Broker), [DIAGNOSE]);
    }

    #[test]
    fn the_variable_and_the_build_may_be_what_is_in_the_way() {
        let told = |wish, required, lacking: &[&str]| -> Vec<String> {
            let steps = steps(&FakeEnv::new(&[]), wish, required, |_| false, lacking);
            steps.into_iter().map(|(_, step)| step).collect()
        };
        assert_eq!(told(Wish::Prod, false, &[])[0], "unset AZURE_TOKEN_CREDENTIALS to have all credentials tried");
        let expected = "set AZURE_TOKEN_CREDENTIALS to another value to have other credentials tried";
        assert_eq!(told(Wish::Prod, true, &[])[0], expected);
        let expected = "build the program with more credentials: the crate `identity` has `cli`, `msi`";
        assert_eq!(told(Wish::Nothing, false, &["`cli`", "`msi`"])[0], expected);
    }
}
