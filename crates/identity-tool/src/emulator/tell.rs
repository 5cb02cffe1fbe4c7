//! What is printed of a running emulator.

use std::fmt::Write as _;

use identity_emulator::{Emulator, Identity, USER_PASSWORD, UserFlow};
use serde_json::{Map, Value, json};

use crate::{
    cli::Stand,
    screen::{self, Paint},
};

/// What a shell evaluates. Variables that would lead a client elsewhere, or to another identity, go away.
pub(super) fn exports(emulator: &Emulator, stand: Stand) -> String {
    let own = stand.variables(emulator);
    let mut foreign: Vec<String> = Stand::all()
        .flat_map(|other| other.variables(emulator))
        .map(|(name, _)| name)
        .chain(ELSEWHERE.iter().chain(&OF_OTHERS).map(|name| (*name).to_owned()))
        .filter(|name| !own.iter().any(|(known, _)| known == name) && !ROOTS.contains(&name.as_str()))
        .collect();
    foreign.sort();
    foreign.dedup();
    let mut out = format!("unset {}\n", foreign.join(" "));
    let is_entra = own.iter().any(|(name, _)| name == "AZURE_AUTHORITY_HOST");
    for (name, value) in own {
        let _ = writeln!(out, "export {name}={}", quote(&value));
    }
    if is_entra {
        out.push_str(NO_PROXY);
    }
    out
}

/// The variables of all sources, as comments.
pub(super) fn all_exports(emulator: &Emulator) -> String {
    let mut out = "# Set the variables of one source only, or let --source choose.\n".to_owned();
    for stand in Stand::all() {
        let _ = writeln!(out, "\n# {}", stand.name());
        let variables = stand.variables(emulator);
        if let Err(error) = stand.check(emulator) {
            let _ = writeln!(out, "# none: {}", screen::escape(&error.to_string()));
        } else if variables.is_empty() {
            let address = emulator.address(stand.source());
            let _ = writeln!(out, "# at {address}, where every client looks: no variables");
        }
        for (name, value) in variables {
            let _ = writeln!(out, "#export {name}={}", quote(&value));
        }
    }
    out
}

/// For scripts.
pub(super) fn to_json(emulator: &Emulator, stand: Option<Stand>) -> Value {
    let ids = |identity: &Identity| {
        json!({
            "client_id": identity.client_id(),
            "object_id": identity.object_id(),
            "resource_id": identity.resource_id(),
        })
    };
    let variables: Map<String, Value> = Stand::all()
        .filter(|candidate| stand.is_none_or(|stand| stand == *candidate))
        .map(|stand| {
            let pairs = stand.variables(emulator).into_iter();
            (stand.name().to_owned(), Value::Object(pairs.map(|(name, value)| (name, value.into())).collect()))
        })
        .collect();
    json!({
        "variables": variables,
        "identities": {
            "system": emulator.system_assigned().map(ids),
            "user": emulator.user_assigned().iter().map(ids).collect::<Vec<_>>(),
        },
        "authority": emulator.authority(),
        "ca_file": emulator.ca_path(),
        "tenant_id": emulator.tenant_id(),
        "keys_url": emulator.keys_url(),
        "control": emulator.control_origin(),
    })
}

/// For the person who started it.
pub(super) fn places(emulator: &Emulator, paint: Paint) -> String {
    let mut out = format!("{}\n", paint.bold("the emulator runs; its tokens open nothing real"));
    let of_user = emulator.user_variables(UserFlow::UsernamePassword);
    let of_user = |name: &str| of_user.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value.as_str());
    let user = match (of_user("AZURE_USERNAME"), of_user("AZURE_PASSWORD")) {
        ("", _) => "the directory has nobody who needs a password alone".to_owned(),
        (name, USER_PASSWORD) => format!("{name}, password: {USER_PASSWORD}"),
        // Somebody's own password is told to those who ask for it.
        (name, _) => screen::escape(name),
    };
    for (name, place) in [
        ("authority", emulator.authority()),
        ("tenant", emulator.tenant_id().to_owned()),
        ("user", user),
        ("CA", emulator.ca_path().display().to_string()),
        ("control", format!("{}/__emulator/", emulator.control_origin())),
        ("keys", emulator.keys_url()),
        // What no variable can say.
        ("clients", "of Entra ID must be told disable_instance_discovery".to_owned()),
        ("stop", "Ctrl-C".to_owned()),
    ] {
        let _ = writeln!(out, "  {} {place}", paint.dim(&format!("{name:9}")));
    }
    out
}

/// One word for a POSIX shell, whatever is in it.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Variables that choose another credential, or the identity of Azure ML.
const ELSEWHERE: [&str; 6] = [
    "AZURE_ADDITIONALLY_ALLOWED_TENANTS",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_IDENTITY_DISABLE_MULTITENANTAUTH",
    "AZURE_REGIONAL_AUTHORITY_NAME",
    "DEFAULT_IDENTITY_CLIENT_ID",
    "MSAL_FORCE_REGION",
];
/// Variables of sources that may have none now: a directory can lack an application for them.
const OF_OTHERS: [&str; 21] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "AZURESUBSCRIPTION_CLIENT_ID",
    "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
    "AZURESUBSCRIPTION_TENANT_ID",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_KUBERNETES_CA_FILE",
    "AZURE_KUBERNETES_SNI_NAME",
    "AZURE_KUBERNETES_TOKEN_PROXY",
    "AZURE_PASSWORD",
    "AZURE_TENANT_ID",
    "AZURE_USERNAME",
    "IDENTITY_CODE_FILE",
    "IDENTITY_REDIRECT_URI",
    "IDENTITY_USER_ASSERTION_FILE",
    "SYSTEM_ACCESSTOKEN",
    "SYSTEM_OIDCREQUESTURI",
];
/// Variables that choose whom all programs of a shell trust: they may be the user's own.
const ROOTS: [&str; 3] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];

/// Clients of Entra ID use proxies, which do not reach this machine's localhost. Programs read either spelling.
const NO_PROXY: &str = "export NO_PROXY=\"localhost${NO_PROXY:+,$NO_PROXY}\"\n\
                        export no_proxy=\"localhost${no_proxy:+,$no_proxy}\"\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_is_one_word() {
        assert_eq!(quote("http://127.0.0.1:1/x?a=1&b=2"), "'http://127.0.0.1:1/x?a=1&b=2'");
        assert_eq!(quote("it's $(x)"), r"'it'\''s $(x)'");
    }

    #[test]
    fn a_password_that_is_not_the_public_one_is_told_to_nobody_who_does_not_ask() {
        let emulator = Emulator::builder().start_in_background().unwrap();
        let told = places(&emulator, Paint::NONE);
        assert!(told.contains(&format!("{}, password: {USER_PASSWORD}", identity_emulator::USER_NAME)), "{told}");
        emulator.put_user(identity_emulator::User::new(identity_emulator::USER_NAME, "hush")).unwrap();
        let told = places(&emulator, Paint::NONE);
        assert!(told.contains(identity_emulator::USER_NAME) && !told.contains("hush"), "{told}");
    }

    #[test]
    fn variables_of_entra_go_away_even_if_nobody_can_use_them() {
        let emulator = Emulator::builder().start_in_background().unwrap();
        let all = exports(&emulator, Stand::Source(identity_emulator::Source::Imds));
        let unset = all.lines().next().unwrap();
        for name in OF_OTHERS.iter().chain(&ELSEWHERE) {
            assert!(unset.split(' ').any(|word| word == *name), "{name}");
        }
        let known: Vec<String> =
            Stand::all().flat_map(|stand| stand.variables(&emulator)).map(|(name, _)| name).collect();
        assert!(
            OF_OTHERS.iter().all(|name| known.iter().any(|known| known == name)),
            "each is a variable of something"
        );
    }

    #[test]
    fn evaluating_one_source_leaves_no_variable_of_another() {
        let emulator = Emulator::builder().start_in_background().unwrap();
        for stand in Stand::all() {
            let text = exports(&emulator, stand);
            for (name, _) in Stand::all().flat_map(|other| other.variables(&emulator)) {
                let own = stand.variables(&emulator).iter().any(|(known, _)| *known == name);
                assert_eq!(text.contains(&format!("\nexport {name}='")), own, "{} {name}", stand.name());
                let unset = text.lines().next().unwrap().split(' ').any(|word| word == name);
                assert_eq!(unset, !own && !ROOTS.contains(&name.as_str()), "{} {name}", stand.name());
            }
        }
        assert!(all_exports(&emulator).lines().all(|line| line.is_empty() || line.starts_with('#')));
    }
}
