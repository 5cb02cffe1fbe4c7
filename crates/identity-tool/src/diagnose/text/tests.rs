//! Whole reports, as people get them. The texts are in `golden`; a run with `IDENTITY_GOLDEN=write` writes them anew.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use identity::ErrorKind;
use serde_json::Value;

use super::*;
use crate::diagnose::{
    json,
    report::{Endpoint, FileToken, Network, Place, Reached, Variable},
};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_750_000)
}

/// A machine with nothing at all, at the end of a way that works.
fn report(links: Vec<Link>, outcome: Outcome) -> Report {
    let tool = |name| Tool { name, program: None, version: Err("not on the PATH".to_owned()) };
    Report {
        version: "0.1.0",
        os: "linux",
        arch: "x86_64",
        time: now(),
        scope: DEFAULT_SCOPE.to_owned(),
        is_emulated: false,
        places: Vec::new(),
        is_refused: false,
        links,
        outcome,
        variables: Vec::new(),
        files: Vec::new(),
        endpoint: Some(Endpoint { source: "IMDS", origin: Some("http://169.254.169.254".to_owned()) }),
        tools: Some(["az", "pwsh", "azd"].map(tool).into()),
        network: Network {
            authority: Ok("https://login.microsoftonline.com".to_owned()),
            proxy: Ok(None),
            roots: Ok(142),
            answer: Ok(Reached { status: 200, took: Duration::from_millis(87), clock_ahead: Some(1) }),
        },
    }
}

/// Every place, with what these say of some; the others have nothing to work with.
fn links(told: Vec<(ChainLink, State, u64)>) -> Vec<Link> {
    let mut links: Vec<Link> = ChainLink::ALL
        .iter()
        .map(|&link| Link {
            link,
            state: State::Unavailable(unavailable("it is not here")),
            took: Some(Duration::ZERO),
        })
        .collect();
    for (link, state, millis) in told {
        let found = links.iter_mut().find(|one| one.link == link).unwrap();
        let took = (!matches!(state, State::LeftOut(_))).then_some(Duration::from_millis(millis));
        *found = Link { link, state, took };
    }
    let left_out = "it is only tried when the program includes it".to_owned();
    let browser = links.iter_mut().find(|one| one.link == ChainLink::InteractiveBrowser).unwrap();
    (browser.state, browser.took) = (State::LeftOut(left_out), None);
    for link in [ChainLink::SharedTokenCache, ChainLink::VisualStudioCode, ChainLink::Broker] {
        let found = links.iter_mut().find(|one| one.link == link).unwrap();
        if matches!(found.state, State::Unavailable(_)) {
            (found.state, found.took) = (State::NotInVersion(unavailable("not available in this version: x")), None);
        }
    }
    links
}

fn unavailable(message: &str) -> Error {
    Error::new(ErrorKind::CredentialUnavailable, message)
}

fn chain_failure(kind: ErrorKind, steps: &[&str]) -> Error {
    let message = "DefaultAzureCredential failed to retrieve a token from the included credentials\nX: y\n...";
    let steps = steps.iter().map(ToString::to_string).collect();
    Error::new(kind, message)
        .with_credential("DefaultAzureCredential")
        .with_attempts(vec![unavailable("y")])
        .with_steps(steps)
}

fn token(credential: &'static str, origin: &'static str) -> TokenFacts {
    TokenFacts {
        credential,
        origin,
        expires_on: now() + Duration::from_secs(3_599),
        audience: Some("https://management.azure.com".to_owned()),
        user: None,
        client_id: Some("04b07795-8ddb-461a-bbee-02f9e1bf7b46".to_owned()),
        object_id: Some("7e57ab1e-0000-4000-8000-0000000000d0".to_owned()),
        resource_id: None,
        tenant_id: Some("7e57ab1e-0000-4000-8000-000000000001".to_owned()),
    }
}

fn set(name: &'static str, shown: Shown, warnings: &[&str]) -> Variable {
    Variable { name, shown, warnings: warnings.iter().map(ToString::to_string).collect(), note: None }
}

/// Compares with the text of that name.
fn is_golden(name: &str, report: &Report, width: usize) {
    let text = write(report, width, Paint::NONE);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/diagnose/golden").join(format!("{name}.txt"));
    #[expect(clippy::disallowed_methods, reason = "a person who changes the text asks for it")]
    if std::env::var_os("IDENTITY_GOLDEN").is_some_and(|wish| wish == "write") {
        fs::write(&path, &text).unwrap();
    }
    #[expect(clippy::disallowed_methods, reason = "the texts are on the disk")]
    let expected = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    assert_eq!(text, expected, "{}", path.display());
    // Nothing but what cannot be broken is wider.
    for line in text.lines().filter(|line| line.chars().count() > width) {
        assert!(!line.trim().contains(' ') || line.contains('`'), "{line}");
    }
}

const NOTHING: [&str; 3] = [
    "on a developer's machine: install the Azure CLI, https://aka.ms/azure-cli tells how, and run `az login`",
    "on Azure: give the machine or service a managed identity",
    "see what each of them finds: run `identity diagnose`",
];

fn laptop() -> Report {
    let nobody = State::Unavailable(unavailable(
        "no managed identity here: no variable names a source, and IMDS does not answer at http://169.254.169.254: no connection within 1 s",
    ));
    let links = links(vec![(ChainLink::ManagedIdentity, nobody, 1_002)]);
    report(links, Outcome::Fails(chain_failure(ErrorKind::CredentialUnavailable, &NOTHING)))
}

#[test]
fn a_laptop_with_nothing() {
    is_golden("laptop", &laptop(), 80);
    is_golden("laptop-narrow", &laptop(), 40);
}

#[test]
fn nobody_is_signed_in_to_az() {
    let said =
        "nobody is signed in to the Azure CLI (az); run `az login`; it said: Please run 'az login' to setup account.";
    let error = unavailable(said).with_steps(vec!["run `az login`".to_owned()]);
    let links = links(vec![(ChainLink::AzureCli, State::Unavailable(error), 612)]);
    let error = chain_failure(ErrorKind::CredentialUnavailable, &["run `az login`", NOTHING[0], NOTHING[1]]);
    let mut report = report(links, Outcome::Fails(error));
    report.tools = Some(vec![
        Tool { name: "az", program: Some("/usr/bin/az".into()), version: Ok("2.77.0".to_owned()) },
        Tool {
            name: "pwsh",
            program: Some(PathBuf::from("/opt/pwsh")),
            version: Err("it was not done in time and was ended".to_owned()),
        },
        Tool { name: "azd", program: None, version: Err("not on the PATH".to_owned()) },
    ]);
    is_golden("az-signed-out", &report, 80);
}

#[test]
fn az_wins() {
    let token = TokenFacts { user: Some("ada@contoso.com".to_owned()), ..token("AzureCliCredential", "") };
    let links = links(vec![(ChainLink::AzureCli, State::Token(Box::new(token)), 534)]);
    let mut report = report(links, Outcome::Wins(ChainLink::AzureCli));
    report.tools.as_mut().unwrap()[0] =
        Tool { name: "az", program: Some("/usr/bin/az".into()), version: Ok("2.77.0".to_owned()) };
    report.network.answer = Err("login.microsoftonline.com does not resolve".to_owned());
    is_golden("az-wins", &report, 80);
}

#[test]
fn the_environment_fails_and_stops_the_chain() {
    let error = Error::new(
        ErrorKind::AuthenticationFailed,
        "ClientSecretCredential: the secret of the application is wrong or has expired (AADSTS7000215); set AZURE_CLIENT_SECRET to the value, not the id; it said: Invalid client secret provided.",
    )
    .with_credential("EnvironmentCredential")
    .with_http_status(401)
    .with_entra_codes(vec![7_000_215])
    .with_ids(Some("0f7d6f3e-7d3a-4d0c-9c5f-0c5bfbd0e7a1".to_owned()), None);
    let token = State::Token(Box::new(token("AzureCliCredential", "")));
    let links = links(vec![(ChainLink::Environment, State::Stops(error), 231), (ChainLink::AzureCli, token, 498)]);
    let steps = "solve what the line of EnvironmentCredential says; 8 after it not tried, for another identity must not hide a failure";
    let mut report = report(links, Outcome::Fails(chain_failure(ErrorKind::AuthenticationFailed, &[steps])));
    report.variables = vec![
        set("AZURE_TENANT_ID", Shown::Value("contoso.com".to_owned()), &[]),
        set("AZURE_CLIENT_ID", Shown::Hidden(38), &["there are quotes around it, which are part of the value"]),
        set(
            "AZURE_CLIENT_SECRET",
            Shown::Hidden(41),
            &["there are blanks or line ends around it, which are part of the value"],
        ),
        set("AZURE_AUTHORITY_HOST", Shown::Empty, &[]),
        set("HTTPS_PROXY", Shown::Value("http://proxy:8080".to_owned()), &[]),
        set("NO_PROXY", Shown::Value("microsoftonline.com".to_owned()), &[]),
    ];
    report.network.answer = Ok(Reached { status: 200, took: Duration::from_millis(1_240), clock_ahead: Some(-431) });
    is_golden("environment-stops", &report, 80);
}

#[test]
fn an_app_service_has_an_identity() {
    let token = TokenFacts {
        resource_id: Some("/subscriptions/7e57ab1e-0000-4000-8000-000000000002/resourcegroups/shop/providers/Microsoft.Web/sites/shop".to_owned()),
        ..token("ManagedIdentityCredential", "App Service")
    };
    let links = links(vec![(ChainLink::ManagedIdentity, State::Token(Box::new(token)), 41)]);
    let mut report = report(links, Outcome::Wins(ChainLink::ManagedIdentity));
    report.places = vec![Place { name: "App Service", sign: "WEBSITE_SITE_NAME" }];
    report.variables = vec![
        set("IDENTITY_ENDPOINT", Shown::Value("http://127.0.0.1:41741".to_owned()), &[]),
        set("IDENTITY_HEADER", Shown::Hidden(36), &[]),
    ];
    report.endpoint = Some(Endpoint { source: "App Service", origin: Some("http://127.0.0.1:41741".to_owned()) });
    is_golden("app-service", &report, 80);
}

#[test]
fn a_variable_leaves_most_of_them_out() {
    let wish = "AZURE_TOKEN_CREDENTIALS is WorkloadIdentityCredential";
    let mut told: Vec<_> = ChainLink::ALL.iter().map(|link| (*link, State::LeftOut(wish.to_owned()), 0)).collect();
    let error = Error::new(ErrorKind::AuthenticationFailed, "the application trusts no such token (AADSTS70021)")
        .with_entra_codes(vec![70_021]);
    told[1] = (ChainLink::WorkloadIdentity, State::Stops(error), 1_320);
    let error =
        chain_failure(ErrorKind::AuthenticationFailed, &["solve what the line of WorkloadIdentityCredential says"]);
    let mut report = report(links(told), Outcome::Fails(error));
    report.places = vec![Place { name: "Kubernetes", sign: "KUBERNETES_SERVICE_HOST" }];
    report.variables = vec![set("AZURE_TOKEN_CREDENTIALS", Shown::Value("WorkloadIdentityCredential".to_owned()), &[])];
    report.files = vec![FileFacts {
        variable: "AZURE_FEDERATED_TOKEN_FILE",
        path: "/var/run/secrets/azure/tokens/azure-identity-token".to_owned(),
        trouble: None,
        bytes: Some(1_183),
        modified: Some(now() - Duration::from_secs(7_500)),
        token: Some(FileToken {
            issuer: Some("https://westeurope.oic.prod-aks.azure.com/x/".to_owned()),
            subject: Some("system:serviceaccount:shop:web".to_owned()),
            audience: Some("api://AzureADTokenExchange".to_owned()),
            expires_on: Some(now() - Duration::from_secs(3_900)),
        }),
        warnings: vec!["the token in it expired 1 h 5 min ago; whoever writes it has stopped".to_owned()],
    }];
    report.tools = None;
    is_golden("one-credential", &report, 80);
}

#[test]
fn a_chain_that_cannot_be_built_says_what_is_in_its_way() {
    let error =
        Error::new(ErrorKind::InvalidArgument, "CertificateCredential: the certificate file /x/app.pem: not found")
            .with_credential("EnvironmentCredential");
    let links = links(vec![(ChainLink::Environment, State::Broken(error.clone()), 0)]);
    let mut report = report(links, Outcome::Fails(error));
    report.files = vec![FileFacts {
        variable: "AZURE_CLIENT_CERTIFICATE_PATH",
        path: "/x/app.pem".to_owned(),
        trouble: Some("No such file or directory (os error 2)".to_owned()),
        bytes: None,
        modified: None,
        token: None,
        warnings: Vec::new(),
    }];
    is_golden("cannot-be-built", &report, 80);
}

#[test]
fn what_others_wrote_does_not_steer_the_terminal() {
    let evil = "a\u{1b}[2J\u{202e}b\u{7}";
    let mut report = laptop();
    report.scope = evil.to_owned();
    report.links[0].state =
        State::Stops(Error::new(ErrorKind::AuthenticationFailed, evil).with_ids(Some(evil.to_owned()), None));
    report.network.answer = Err(evil.to_owned());
    let text = write(&report, 80, Paint::NONE);
    assert!(text.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')), "{text}");
    assert!(text.contains("\\u{1b}[2J"));
}

#[test]
fn a_long_message_is_cut_and_says_where_the_rest_is() {
    let mut report = laptop();
    report.links[0].state = State::Unavailable(unavailable(&"word ".repeat(200)));
    let text = write(&report, 80, Paint::NONE);
    let hint = "`identity token --credential environment --scope https://management.azure.com/.default` tells it all";
    assert!(text.replace("\n    ", " ").contains(hint), "{text}");
    assert!(text.matches("word").count() < 100);
    (report.scope, report.is_emulated) = ("api://a b/.default".to_owned(), true);
    let text = write(&report, 80, Paint::NONE);
    let hint = "`identity token --emulator --credential environment --scope 'api://a b/.default'` tells it all";
    assert!(text.replace("\n    ", " ").contains(hint), "{text}");
}

#[test]
fn what_others_wrote_is_cut_also_on_the_way_to_entra_id() {
    let mut report = laptop();
    report.network.answer = Err("word ".repeat(1_000));
    report.network.roots = Err("root ".repeat(1_000));
    let text = write(&report, 80, Paint::NONE);
    assert!((50..100).contains(&text.matches("word").count()) && text.matches("root").count() < 100, "{text}");
}

#[test]
fn the_longest_line_of_a_link_fits_80_columns() {
    let stops = || State::Stops(Error::new(ErrorKind::AuthenticationFailed, "no"));
    let all = ChainLink::ALL.iter().map(|link| (*link, stops(), 59_900)).collect();
    let text = write(&report(links(all), Outcome::Fails(unavailable("no"))), 80, Paint::NONE);
    assert!(text.contains("\n 3  ManagedIdentityCredential     would stop the chain, 59.9 s; not reached\n"), "{text}");
}

#[test]
fn a_variable_that_names_nothing_does_not_hide_the_links() {
    let message = "AZURE_TOKEN_CREDENTIALS has a value that names nothing; expected dev, prod, or one of X";
    let steps = ["did you mean AzureCliCredential? set AZURE_TOKEN_CREDENTIALS to that".to_owned()];
    let error = Error::new(ErrorKind::InvalidArgument, message).with_steps(steps.to_vec());
    let token = State::Token(Box::new(token("AzureCliCredential", "")));
    let mut report = report(links(vec![(ChainLink::AzureCli, token, 498)]), Outcome::Fails(error));
    report.is_refused = true;
    is_golden("refused", &report, 80);
    let object = json::write(&report);
    assert_eq!(object["next_steps"], serde_json::json!(steps));
    assert!(object["links"].as_array().unwrap().iter().all(|link| link["reached"] == false), "{object}");
}

#[test]
fn a_note_is_a_warning_only_where_there_is_no_token() {
    let mut report = laptop();
    report.variables = vec![Variable { note: Some("az reads it"), ..set("CURL_CA_BUNDLE", Shown::Hidden(0), &[]) }];
    assert_eq!(report.warnings(), ["CURL_CA_BUNDLE: az reads it"]);
    assert!(write(&report, 80, Paint::NONE).contains("\n    note: az reads it\n"));
    assert!(json::write(&report)["variables"][0]["hidden_length"].is_null());
    report.outcome = Outcome::Wins(ChainLink::AzureCli);
    assert!(report.warnings().is_empty());
}

#[test]
fn a_time_that_is_years_away_is_the_servers() {
    let mut report = laptop();
    for (ahead, part) in
        [(301, "set it right"), (-301, "set it right"), (1_790_000_000, "the authority told is years away")]
    {
        report.network.answer = Ok(Reached { status: 200, took: Duration::ZERO, clock_ahead: Some(ahead) });
        assert!(report.warnings()[0].contains(part), "{ahead}: {:?}", report.warnings());
    }
}

#[test]
fn colour_changes_no_word() {
    let (plain, painted) = (write(&laptop(), 80, Paint::NONE), write(&laptop(), 80, Paint::ALWAYS));
    let mut stripped = String::new();
    let mut parts = painted.split('\u{1b}');
    stripped.push_str(parts.next().unwrap());
    for part in parts {
        stripped.push_str(part.split_once('m').unwrap().1);
    }
    assert_eq!(stripped, plain);
    assert_ne!(painted, plain);
}

#[test]
fn scripts_get_the_promised_fields() {
    let object = json::write(&laptop());
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        names(&object),
        "arch emulator error files links managed_identity network next_steps os places scope time tools variables version warnings winner"
    );
    assert_eq!(names(&object["links"][0]), "error milliseconds name position reached reason state token");
    assert_eq!(
        names(&object["network"]),
        "answer_trouble authority authority_trouble clock_ahead_seconds http_status milliseconds proxy proxy_trouble roots roots_trouble"
    );
    assert_eq!((&object["winner"], &object["error"]["kind"]), (&Value::Null, &"CredentialUnavailable".into()));
    assert_eq!(object["next_steps"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&object["links"][2]["milliseconds"], &object["links"][2]["state"]),
        (&1_002.into(), &"unavailable".into())
    );
    assert_eq!(object["links"][8]["state"], "left_out");

    let mut report = laptop();
    report.links[5].state = State::Token(Box::new(token("AzureCliCredential", "")));
    report.outcome = Outcome::Wins(ChainLink::AzureCli);
    let object = json::write(&report);
    assert_eq!(object["winner"], "AzureCliCredential");
    assert_eq!(
        names(&object["links"][5]["token"]),
        "audience client_id credential expires_on object_id resource_id source tenant_id user"
    );
    assert_eq!((&object["links"][5]["reached"], &object["links"][6]["reached"]), (&true.into(), &false.into()));
}
