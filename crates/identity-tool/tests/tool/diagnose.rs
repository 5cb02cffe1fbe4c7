//! `identity diagnose`: which credential of the default chain wins, why the others do not, and what was found.

use std::process::Command;

use identity_emulator::{Answer, SYSTEM_CLIENT_ID, Source};
use serde_json::{Value, json};

use crate::{CANARY, Done, Files, answering, done, program, run};

/// The command where nobody is: managed identity has half of its variables, and the proxy to everything is a closed port.
fn nowhere(arguments: &[&str]) -> Command {
    let mut command = program();
    command.arg("diagnose").args(arguments);
    command.env("IDENTITY_ENDPOINT", "http://127.0.0.1:9/").env("HTTPS_PROXY", PROXY);
    command
}

fn json(command: &mut Command) -> (Done, Value) {
    let done = done(command.args(["-o", "json"]));
    assert_eq!((done.stderr.as_str(), done.stdout.lines().count()), ("", 1));
    let object = serde_json::from_str(&done.stdout).unwrap();
    (done, object)
}

fn states(object: &Value) -> Vec<&str> {
    object["links"].as_array().unwrap().iter().map(|link| link["state"].as_str().unwrap()).collect()
}

/// Nobody listens there, and what it takes to be asked is not to be seen.
const PROXY: &str = "http://user:canary-3f9a1c@127.0.0.1:9";
const TENANT: &str = "7e57ab1e-0000-4000-8000-000000000001";

#[test]
fn where_nothing_is_every_credential_says_why_and_the_verdict_says_what_to_do() {
    let done = done(&mut nowhere(&[]));
    assert_eq!((done.code, done.stderr.as_str()), (Some(3), ""));
    for part in [
        "\nfor https://management.azure.com/.default, the default; --scope changes it\n",
        "\n 1  EnvironmentCredential         unavailable",
        "\n 4  SharedTokenCacheCredential    not in this version\n",
        "\n 6  AzureCliCredential            unavailable\n    the Azure CLI (az) is not on the PATH",
        "\n 9  InteractiveBrowserCredential  left out\n",
        "\n  IDENTITY_ENDPOINT            http://127.0.0.1:9\n",
        "\n  HTTPS_PROXY                  http://127.0.0.1:9\n",
        "\n  managed identity none: the variables name no source that is whole\n",
        "\n  proxy            http://127.0.0.1:9\n",
        "\n  DefaultAzureCredential gets no token: CredentialUnavailable\n  1. on a developer's machine: ",
    ] {
        assert!(done.stdout.contains(part), "{part} in\n{}", done.stdout);
    }
    assert!(!done.stdout.contains("canary"), "{}", done.stdout);
    let (again, object) = json(&mut nowhere(&[]));
    assert_eq!((again.code, &object["winner"]), (Some(3), &Value::Null));
    assert_eq!(object["error"]["kind"], "CredentialUnavailable");
    assert!(object["next_steps"][0].as_str().unwrap().contains("`az login`"), "{object}");
    assert!(object["links"].as_array().unwrap().iter().all(|link| link["reached"] == true), "{object}");
}

#[test]
fn lines_fit_a_narrow_terminal() {
    for columns in [40, 80] {
        let done = done(nowhere(&[]).env("COLUMNS", columns.to_string()));
        for line in done.stdout.lines().filter(|line| line.chars().count() > columns) {
            assert!(!line.trim().contains(' ') || line.contains('`'), "{columns}: {line}");
        }
    }
}

#[cfg(unix)]
#[test]
fn the_tool_that_is_signed_in_wins_and_shows_no_token() {
    let script = "case \"$1\" in version) echo '{\"azure-cli\": \"2.77.0\"}';; *) printf \
        '{\"accessToken\":\"canary-3f9a1c.b.c\",\"expires_on\":%s,\"tokenType\":\"Bearer\"}' $(($(date +%s) + 3600));; esac";
    let files = crate::tools::tool("diagnose-az", "az", script);
    let with_az = || {
        let mut command = nowhere(&[]);
        command.env("PATH", format!("{}:/usr/bin:/bin", files.0.display())).env("HOME", &files.0);
        command
    };
    let said = done(&mut with_az());
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{}", said.stdout);
    let program = format!("\n  az               2.77.0, {}\n", files.path("az"));
    for part in [
        "AzureCliCredential            token: it wins",
        "AzurePowerShellCredential     unavailable; not reached",
        " UTC, in 59 min\n",
        "\n  DefaultAzureCredential takes the token of AzureCliCredential\n",
        program.as_str(),
    ] {
        assert!(said.stdout.contains(part), "{part} in\n{}", said.stdout);
    }
    assert!(!said.all().contains(CANARY), "{}", said.stdout);

    let (said, object) = json(&mut with_az());
    assert!(said.code == Some(0) && !said.stdout.contains(CANARY), "{}", said.stdout);
    assert_eq!((&object["winner"], &object["tools"][0]["version"]), (&json!("AzureCliCredential"), &json!("2.77.0")));
    assert!(object["links"][5]["token"]["expires_on"].as_u64() > object["time"].as_u64(), "{object}");

    // A credential that is there and fails is not passed over, whoever comes after it.
    let mut command = with_az();
    command.env("AZURE_TENANT_ID", TENANT).env("AZURE_CLIENT_ID", TENANT).env("AZURE_CLIENT_SECRET", CANARY);
    let (said, object) = json(&mut command);
    assert_eq!((said.code, &object["winner"]), (Some(6), &Value::Null), "{}", said.stdout);
    let states = states(&object);
    assert_eq!((states[0], states[5]), ("stops_the_chain", "token"), "{object}");
    assert_eq!((&object["links"][0]["reached"], &object["links"][5]["reached"]), (&json!(true), &json!(false)));
    assert!(!said.stdout.contains(CANARY), "{}", said.stdout);
}

#[test]
fn no_secret_of_the_environment_is_in_any_output() {
    // Managed identity has a token, and a secret of its own.
    let (_emulator, variables) = answering(Source::AppService, Answer::real());
    assert!(variables.contains(&("IDENTITY_HEADER".to_owned(), CANARY.to_owned())));
    let secrets = [
        "AZURE_CLIENT_SECRET",
        "AZURE_CLIENT_CERTIFICATE_PASSWORD",
        "AZURE_PASSWORD",
        "AZURE_USERNAME",
        "MSI_SECRET",
        // Where they do not belong.
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_CLIENT_CERTIFICATE_PATH",
    ];
    for arguments in [&[][..], &["-o", "json"], &["-v"], &["-v", "-o", "json"]] {
        let mut command = nowhere(arguments);
        command.env("AZURE_TENANT_ID", TENANT).env("AZURE_CLIENT_ID", TENANT);
        command.envs(secrets.map(|name| (name, CANARY_TEXT))).envs(variables.iter().cloned());
        let done = done(&mut command);
        assert_eq!(done.code, Some(6), "{}", done.all());
        assert!(done.stdout.contains("AZURE_CLIENT_SECRET") && done.stdout.contains("App Service"), "{}", done.stdout);
        let all = done.all();
        for secret in [CANARY_TEXT, CANARY, "eyJ"] {
            assert!(!all.contains(secret), "{arguments:?}\n{all}");
        }
    }
}

#[test]
fn a_key_in_place_of_a_path_is_in_no_output() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIcanary/canary+canary3f9a1c\n-----END PRIVATE KEY-----\n";
    for value in [key, "MIIcanary/canary+canary3f9a1c==", "canary~3f9a1c/x"] {
        for arguments in [&[][..], &["-o", "json"]] {
            let mut command = nowhere(arguments);
            command.env("AZURE_TENANT_ID", TENANT).env("AZURE_CLIENT_ID", TENANT);
            for name in ["AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR"]
            {
                command.env(name, value);
            }
            let done = done(&mut command);
            assert!(done.stdout.contains("AZURE_FEDERATED_TOKEN_FILE"), "{}", done.all());
            assert!(!done.all().contains("canary"), "{value}\n{}", done.all());
        }
    }
}

#[cfg(unix)]
#[test]
fn who_reads_no_further_gets_the_same_exit_code() {
    use std::process::Stdio;

    let mut child = nowhere(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

/// No id, no word and no path.
const CANARY_TEXT: &str = "canary~Q8_8f3";

#[test]
fn the_application_of_the_variables_wins_and_the_clocks_are_compared() {
    let (emulator, _) = answering(Source::Entra, Answer::real());
    let files = Files::new("diagnose-entra");
    let ca = files.write("ca.pem", &emulator.ca_pem());
    let mut command = program();
    command.args(["diagnose", "--ca-file", &ca, "--disable-instance-discovery", "--exclude", "managed-identity"]);
    command.envs(emulator.variables(Source::Entra)).env("WEBSITE_SITE_NAME", "shop");
    let (done, object) = json(&mut command);
    assert_eq!((done.code, &object["winner"]), (Some(0), &json!("EnvironmentCredential")), "{object}");
    assert_eq!(object["links"][0]["token"]["credential"], "ClientSecretCredential");
    assert_eq!((states(&object)[2], &object["links"][2]["reason"]), ("left_out", &json!("by --exclude")));
    assert_eq!(object["places"][0], json!({ "name": "App Service", "sign": "WEBSITE_SITE_NAME" }));
    let network = &object["network"];
    assert!(network["http_status"].is_u64() && network["answer_trouble"].is_null(), "{network}");
    assert!(network["clock_ahead_seconds"].as_i64().unwrap().abs() < 60, "{network}");
    assert!(network["roots"].as_u64().unwrap() >= 1 && network["proxy"].is_null(), "{network}");
    let secret =
        emulator.variables(Source::Entra).into_iter().find(|(name, _)| name == "AZURE_CLIENT_SECRET").unwrap().1;
    assert!(!done.stdout.contains(&secret) && !done.stdout.contains("eyJ"), "{}", done.stdout);
}

#[test]
fn what_a_variable_leaves_out_is_told_and_one_that_names_nothing_is_2() {
    let (_, object) = json(nowhere(&[]).env("AZURE_TOKEN_CREDENTIALS", "prod"));
    let all = states(&object);
    assert_eq!(all.iter().filter(|state| **state == "left_out").count(), 7, "{object}");
    assert_eq!(object["links"][5]["reason"], "AZURE_TOKEN_CREDENTIALS is prod");

    let wrong = done(nowhere(&[]).env("AZURE_TOKEN_CREDENTIALS", "azure-cli"));
    assert_eq!((wrong.code, wrong.stderr.as_str()), (Some(2), ""));
    for part in [
        "there is none, see below",
        "\n 6  AzureCliCredential            unavailable; not reached\n    the Azure CLI (az) is not on the PATH",
        "AZURE_TOKEN_CREDENTIALS has a value that names nothing",
        "did you mean AzureCliCredential?",
        "\n  az ",
    ] {
        assert!(wrong.stdout.contains(part), "{part} in\n{}", wrong.stdout);
    }
    let (_, object) = json(nowhere(&[]).env("AZURE_TOKEN_CREDENTIALS", CANARY_TEXT));
    assert_eq!((states(&object)[5], &object["error"]["kind"]), ("unavailable", &json!("InvalidArgument")), "{object}");
    assert_eq!(object["next_steps"], json!(["unset AZURE_TOKEN_CREDENTIALS to have all credentials tried"]));
}

#[test]
fn a_certificate_that_is_not_there_does_not_hide_what_the_others_say() {
    let files = Files::new("diagnose-certificate");
    let path = files.path("app.pem");
    let mut command = nowhere(&[]);
    command.env("AZURE_TENANT_ID", TENANT).env("AZURE_CLIENT_ID", TENANT).env("AZURE_CLIENT_CERTIFICATE_PATH", &path);
    let (done, object) = json(&mut command);
    assert_eq!((done.code, states(&object)[0]), (Some(2), "cannot_be_built"), "{object}");
    assert_eq!((&object["error"]["kind"], states(&object)[5]), (&json!("InvalidArgument"), "unavailable"));
    assert_eq!((&object["files"][0]["path"], &object["files"][0]["bytes"]), (&json!(path), &Value::Null));
    assert!(object["files"][0]["trouble"].is_string(), "{object}");
}

#[test]
fn the_emulators_world_has_nothing_of_this_machine() {
    let done = done(nowhere(&["--emulator"]).env("AZURE_CLIENT_SECRET", CANARY).env("PATH", "/usr/bin:/bin"));
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{}", done.stdout);
    for part in [
        "ManagedIdentityCredential     token: it wins",
        SYSTEM_CLIENT_ID,
        "\n  tools            this world has none\n",
        "by the emulator",
    ] {
        assert!(done.stdout.contains(part), "{part} in\n{}", done.stdout);
    }
    assert!(!done.stdout.contains("AZURE_CLIENT_SECRET  ") && !done.stdout.contains("PROXY"), "{}", done.stdout);
    assert_eq!(run(&["diagnose", "--emulator", "--emulator-source", "azure-ml"]).code, Some(0));
}

#[test]
fn who_leaves_workload_identity_out_is_not_told_of_its_exchange() {
    let (_emulator, imds) = answering(Source::Imds, Answer::real());
    let source = |arguments: &[&str]| {
        let mut command = program();
        command.args(["diagnose", "--proxy", "http://127.0.0.1:9"]).args(arguments);
        command.env("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent/token").env("AZURE_TENANT_ID", TENANT);
        command.env("AZURE_AUTHORITY_HOST", "https://127.0.0.1:9/").env("AZURE_CLIENT_ID", TENANT);
        command.envs(imds.iter().cloned());
        json(&mut command).1["managed_identity"]["source"].as_str().unwrap().to_owned()
    };
    assert_eq!(source(&[]), "token exchange");
    assert_eq!(source(&["--exclude", "workload-identity"]), "IMDS");
    assert_eq!(source(&["--exclude", "workload-identity", "--object-id", TENANT]), "IMDS");
}

#[test]
fn options_that_contradict_are_2() {
    for (arguments, part) in [
        (&["--exclude", "broker", "--include", "broker"][..], "--exclude and --include both name broker"),
        (&["--proxy", "http://user:canary-3f9a1c@p:1"], "HTTPS_PROXY"),
        (&["--exclude", "az"], "azure-cli"),
        (
            &["--client-secret", "canary"],
            "--client-secret is refused, for every user of this machine can read command lines; set AZURE_CLIENT_SECRET",
        ),
        (&["--assertion", "canary"], "--assertion is refused"),
        (&["--scope", "a b"], "has a character that no scope has"),
        (&["--client-id", "a", "--object-id", "b"], "cannot be used with"),
        (&["--emulator", "--authority", "x"], "cannot be used with"),
        (&["--emulator", "--process-timeout", "1s"], "cannot be used with"),
        (&["--ca-file", "/nonexistent/ca.pem"], "/nonexistent/ca.pem"),
    ] {
        for output in ["text", "json"] {
            let done = done(nowhere(&["-o", output]).args(arguments));
            assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{arguments:?}");
            assert!(done.stderr.contains(part) && !done.stderr.contains("canary"), "{part} in\n{}", done.stderr);
        }
    }
    // What the chain is told wrongly is part of the report.
    for arguments in [&["--process-timeout", "91s"][..], &["--exclude", "managed-identity", "--object-id", "x"]] {
        let (done, object) = json(&mut nowhere(arguments));
        assert_eq!((done.code, &object["error"]["kind"]), (Some(2), &json!("InvalidArgument")), "{object}");
    }
}

#[cfg(unix)]
#[test]
fn who_loses_patience_leaves_no_tool_behind() {
    use std::{
        fs,
        process::Stdio,
        thread,
        time::{Duration, Instant},
    };

    let files = crate::tools::tool("diagnose-hangs", "az", "echo $$ > \"$HOME/pid\"; sleep 600 & wait");
    let mut command = nowhere(&["--process-timeout", "90s"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", files.0.display())).env("HOME", &files.0);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !fs::read_to_string(files.path("pid")).is_ok_and(|pid| pid.ends_with('\n')) {
        assert!(start.elapsed() < Duration::from_secs(10), "it never starts");
        thread::sleep(Duration::from_millis(10));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    crate::tools::gone(&files);
}
