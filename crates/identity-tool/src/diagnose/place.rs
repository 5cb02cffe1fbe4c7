//! Where this seems to run.

use std::path::Path;

use identity::Env;

use super::report::Place;

/// The places whose signs are there.
pub(super) fn all(env: &dyn Env) -> Vec<Place> {
    let is_set = |sign: &str| env.var_os(sign).is_some_and(|value| !value.is_empty());
    let variables = VARIABLES.iter().filter(|(sign, _)| is_set(sign));
    let files = FILES.iter().filter(|(sign, _)| env.is_file(Path::new(sign)));
    let mut places: Vec<Place> = Vec::new();
    for (sign, name) in variables.chain(files) {
        if places.iter().all(|place| place.name != *name) {
            places.push(Place { name, sign });
        }
    }
    places
}

/// Source: as the steps of `DefaultAzureCredential`; "Default environment variables for your codespace" (docs.github.com);
/// "Features of Azure Cloud Shell" and "Working across Windows and Linux file systems" (learn.microsoft.com).
const VARIABLES: [(&str, &str); 11] = [
    ("FUNCTIONS_WORKER_RUNTIME", "Azure Functions"),
    ("WEBSITE_SITE_NAME", "App Service"),
    ("CONTAINER_APP_NAME", "Container Apps"),
    ("KUBERNETES_SERVICE_HOST", "Kubernetes"),
    ("ACC_CLOUD", "Cloud Shell"),
    ("GITHUB_ACTIONS", "GitHub Actions"),
    ("TF_BUILD", "Azure Pipelines"),
    ("CODESPACES", "GitHub Codespaces"),
    ("WSL_DISTRO_NAME", "Windows Subsystem for Linux"),
    ("CI", "continuous integration"),
    ("SSH_CONNECTION", "a remote session"),
];

const FILES: [(&str, &str); 2] = [("/.dockerenv", "a container"), ("/run/.containerenv", "a container")];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::overlay::Overlay;

    #[test]
    fn each_place_is_told_once_with_its_sign() {
        let set = ["WEBSITE_SITE_NAME", "KUBERNETES_SERVICE_HOST"].map(|name| (name.to_owned(), "x".to_owned()));
        let mut set = set.to_vec();
        set.push(("CI".to_owned(), String::new()));
        let env = Overlay::new(set, Arc::clone(identity::platform().env()));
        let places = all(&env);
        let names: Vec<_> = places.iter().map(|place| (place.name, place.sign)).collect();
        assert_eq!(names, [("App Service", "WEBSITE_SITE_NAME"), ("Kubernetes", "KUBERNETES_SERVICE_HOST")]);
    }
}
