//! What a build says that has none of the credentials.

use identity_core::{
    Error, ErrorKind, Result, TokenCredential,
    fakes::{FakeClock, FakeEnv, FakeTransport, Sim, json, platform},
};

use super::DefaultAzureCredential;

/// The failure of a call in a world with these variables.
fn failure(variables: &[(&str, &str)]) -> Error {
    let clock = FakeClock::default();
    let transport = FakeTransport::new(&clock, |_| Ok(json(200, "{}")));
    let platform = platform(&clock, &transport, &FakeEnv::new(variables));
    let chain = DefaultAzureCredential::builder().build_with(&platform).unwrap();
    let result: Result<_> = Sim::new(&clock).run(chain.get_token(&["s"], None));
    assert_eq!(transport.count(), 0);
    result.unwrap_err()
}

#[test]
fn what_is_not_compiled_in_is_listed_with_its_feature() {
    let error = failure(&[("AZURE_CLIENT_ID", "c")]);
    assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::CredentialUnavailable, 9));
    for (name, feature) in [
        ("EnvironmentCredential", "environment"),
        ("WorkloadIdentityCredential", "workload"),
        ("ManagedIdentityCredential", "msi"),
        ("AzureCliCredential", "cli"),
        ("AzurePowerShellCredential", "cli"),
        ("AzureDeveloperCliCredential", "cli"),
    ] {
        let line = format!("\n{name}: not compiled in: turn on the feature `{feature}`\n");
        assert!(error.to_string().contains(&line), "{error}");
    }
}

#[test]
fn variables_for_what_is_not_compiled_in_stop_the_chain() {
    for (variables, name, feature) in [
        (&["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"][..], "EnvironmentCredential", "environment"),
        (
            &["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_CERTIFICATE_PATH"],
            "EnvironmentCredential",
            "environment",
        ),
        (&["AZURE_CLIENT_ID", "AZURE_USERNAME", "AZURE_PASSWORD"], "EnvironmentCredential", "environment"),
        (&["AZURE_FEDERATED_TOKEN_FILE"], "WorkloadIdentityCredential", "workload"),
        (&["IDENTITY_ENDPOINT"], "ManagedIdentityCredential", "msi"),
        (&["MSI_ENDPOINT"], "ManagedIdentityCredential", "msi"),
    ] {
        let set: Vec<(&str, &str)> = variables.iter().map(|&name| (name, "canary")).collect();
        let error = failure(&set);
        assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, name));
        let line = format!(
            "\n{name}: not compiled in, but {} set for it: turn on the feature `{feature}`, or exclude it\n",
            variables.join(", ")
        );
        assert!(error.to_string().contains(&line) && !error.to_string().contains("canary"), "{error}");
    }
}
