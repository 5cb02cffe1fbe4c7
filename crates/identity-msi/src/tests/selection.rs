//! Which source the variables choose, and which of their values are refused.

use std::time::Duration;

use identity_core::ErrorKind;

use super::{log::Log, *};

#[test]
fn the_first_row_whose_variables_are_all_set_decides() {
    let all: Vec<_> = [IMDS, POD_HOST, SERVICE_FABRIC, ARC, AZURE_ML, WORKLOAD].concat();
    let without = |names: &[&str]| all.iter().copied().filter(|(name, _)| !names.contains(name)).collect::<Vec<_>>();
    let emptied = |names: &[&str]| {
        all.iter().map(|&(name, value)| (name, if names.contains(&name) { "" } else { value })).collect::<Vec<_>>()
    };
    let (thumbprint, header, imds) = ("IDENTITY_SERVER_THUMBPRINT", "IDENTITY_HEADER", "IMDS_ENDPOINT");
    let (endpoint, msi, secret) = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET");
    let rows = [
        (SERVICE_FABRIC.to_vec(), "Service Fabric"),
        (APP_SERVICE.to_vec(), "App Service"),
        (ARC.to_vec(), "Azure Arc"),
        (ARC[..1].to_vec(), "none"),
        (AZURE_ML.to_vec(), "Azure ML"),
        (CLOUD_SHELL.to_vec(), "Cloud Shell"),
        (WORKLOAD.to_vec(), "token exchange"),
        (POD_HOST.to_vec(), "IMDS"),
        (IMDS.to_vec(), "IMDS"),
        // Everything at once, then one variable after the other taken away.
        (without(&[endpoint]), "Azure ML"),
        (without(&[thumbprint, imds]), "App Service"),
        (without(&[thumbprint, header]), "Azure Arc"),
        (without(&[thumbprint, header, imds]), "none"),
        (without(&[header, imds]), "none"),
        (without(&[endpoint, secret]), "Cloud Shell"),
        (without(&[endpoint, msi]), "token exchange"),
        (without(&[endpoint, msi, "AZURE_TENANT_ID"]), "IMDS"),
        (without(&[endpoint, msi, "AZURE_AUTHORITY_HOST"]), "IMDS"),
        (without(&[endpoint, msi, "AZURE_FEDERATED_TOKEN_FILE"]), "IMDS"),
        // An empty variable is not set.
        (emptied(&[thumbprint, imds]), "App Service"),
        (emptied(&[thumbprint, header]), "Azure Arc"),
        (emptied(&[thumbprint, header, imds]), "none"),
        (emptied(&[endpoint]), "Azure ML"),
        (emptied(&[endpoint, secret]), "Cloud Shell"),
        (emptied(&[endpoint, msi]), "token exchange"),
        (emptied(&[endpoint, msi, "AZURE_TENANT_ID", "AZURE_POD_IDENTITY_AUTHORITY_HOST"]), "IMDS"),
    ];
    for (mut vars, expected) in rows {
        if expected == "App Service" {
            // Service Fabric's URL serves as well.
            vars.retain(|(name, _)| *name != endpoint);
            vars.push(APP_SERVICE[0]);
        }
        let world = World::replies(&vars, &[(500, "")]);
        assert_eq!(world.credential().source(), expected, "{vars:?}");
        assert_eq!(world.transport.count(), 0, "building sends nothing");
        assert!(world.env.reads().is_empty(), "building reads no file");
    }
}

#[test]
fn an_installed_agent_makes_it_azure_arc_unless_a_variable_names_another_source() {
    let agent = "/opt/azcmagent/bin/himds";
    for (vars, file, expected) in [
        (IMDS, agent, if cfg!(target_os = "linux") { "Azure Arc" } else { "IMDS" }),
        (IMDS, "/opt/azcmagent/bin/other", "IMDS"),
        (POD_HOST, agent, "IMDS"),
        (APP_SERVICE, agent, "App Service"),
        (AZURE_ML, agent, "Azure ML"),
    ] {
        let world = World::replies(vars, &[(500, "")]);
        world.env.file(file, Ok(b""));
        let credential = world.credential();
        assert_eq!(credential.source(), expected, "{vars:?} {file}");
        if expected == "Azure Arc" {
            world.get(&credential).unwrap_err();
            let url = &world.transport.requests()[0].url;
            assert!(url.starts_with("http://127.0.0.1:40342/metadata/identity/oauth2/token?"), "{url}");
        }
    }
}

#[test]
fn a_lone_endpoint_is_unavailable_and_says_what_is_missing() {
    let world = World::replies(&ARC[..1], &[(200, TOKEN)]);
    let credential = world.credential();
    for _ in 0..2 {
        let error = world.get(&credential).unwrap_err();
        assert_eq!((error.kind(), error.credential()), (ErrorKind::CredentialUnavailable, crate::NAME));
        for word in ["no managed identity endpoint found", "IDENTITY_HEADER", "IMDS_ENDPOINT"] {
            assert!(error.to_string().contains(word), "{error}");
        }
    }
    assert_eq!(world.transport.count(), 0);
}

#[cfg(not(feature = "workload"))]
#[test]
fn variables_of_workload_identity_stop_with_an_error_that_names_the_feature() {
    let world = World::replies(WORKLOAD, &[(200, TOKEN)]);
    let credential = world.credential();
    for error in [world.get(&credential).unwrap_err(), world.get_in_chain(&credential).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("`workload`") && error.to_string().contains("AZURE_FEDERATED_TOKEN_FILE"));
    }
    assert_eq!(world.transport.count(), 0);
}

#[cfg(not(feature = "service-fabric"))]
#[test]
fn a_build_without_service_fabric_says_so_and_sends_nothing() {
    let world = World::replies(SERVICE_FABRIC, &[(200, TOKEN)]);
    let error = world.get(&world.credential()).unwrap_err();
    assert_eq!((error.kind(), world.transport.count()), (ErrorKind::InvalidArgument, 0));
    assert!(error.to_string().contains("`msi-service-fabric`"), "{error}");
}

#[test]
fn endpoints_that_are_none_are_refused_with_the_name_of_the_variable() {
    let with_header = |name: &'static str| match name {
        "IDENTITY_ENDPOINT" => ("IDENTITY_HEADER", "CANARY-header"),
        "MSI_ENDPOINT" => ("MSI_SECRET", "CANARY-secret"),
        _ => ("X", ""),
    };
    for name in ["IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST"] {
        for value in [
            "CANARY",
            "127.0.0.1:80",
            "ftp://127.0.0.1/CANARY",
            "file:///CANARY",
            "http:/127.0.0.1",
            "http://",
            "http:///msi",
            "http://?x",
            "http://user:CANARY@127.0.0.1/",
            "http://127.0.0.1@evil.example/CANARY",
            "http://127.0.0.1\\@evil.example/CANARY",
            "http://127.0.0.1/#CANARY",
            "http://127.0.0.1/ CANARY",
            "http://127.0.0.1/\r\nx-evil: CANARY",
            "http://127.0.0.1/\0CANARY",
            "http://127.0.0.1:/CANARY",
            "http://127.0.0.1:0/CANARY",
            "http://127.0.0.1:+80/CANARY",
            "http://127.0.0.1:65536/CANARY",
            "http://127.0.0.1:x?CANARY",
            "http://[::1]:CANARY",
            " http://127.0.0.1/CANARY",
            "http://127.0.0.1/CANARY\n",
            "http://lоcalhost/CANARY",
            "http://127.0.0.1/?resource=CANARY",
            "http://127.0.0.1/?x=y&API-VERSION=CANARY",
        ] {
            let world = World::replies(&[(name, value), with_header(name)], &[(200, TOKEN)]);
            let error = world.build(ManagedIdentityCredential::builder()).unwrap_err();
            assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, crate::NAME), "{name}={value}");
            assert!(error.to_string().starts_with(name), "{name}={value}: {error}");
            assert!(!shown(&error).contains("CANARY"), "{error}");
            assert_eq!(world.transport.count(), 0);
        }
    }
}

#[test]
fn schemes_are_read_in_any_case() {
    for url in ["HTTP://127.0.0.1:80/msi/token", "Http://[::1]/msi/token", "http://[::1]:65535/msi/token"] {
        let world = World::replies(&[("IDENTITY_ENDPOINT", url), ("IDENTITY_HEADER", "CANARY")], &[(200, TOKEN)]);
        world.get(&world.credential()).unwrap();
    }
    #[cfg(feature = "service-fabric")]
    {
        let url = ("IDENTITY_ENDPOINT", "HTTPS://10.0.0.4:2377/");
        let world = World::replies(&[SERVICE_FABRIC, &[url]].concat(), &[(200, TOKEN)]);
        world.get(&world.credential()).unwrap();
    }
    let world = World::replies(&[("MSI_ENDPOINT", " http://127.0.0.1/")], &[(200, TOKEN)]);
    let error = world.build(ManagedIdentityCredential::builder()).unwrap_err();
    assert!(error.to_string().contains("a space"), "{error}");
}

#[test]
fn secrets_that_would_split_a_header_are_refused_with_the_name_of_the_variable() {
    for (endpoint, name) in [("IDENTITY_ENDPOINT", "IDENTITY_HEADER"), ("MSI_ENDPOINT", "MSI_SECRET")] {
        for value in ["CANARY\r\nx: y", "CANARY\n", "\rCANARY", "CANARY\0", "CANARYä", " CANARY", "CANARY\t"] {
            let world = World::replies(&[(endpoint, "http://127.0.0.1/"), (name, value)], &[(200, TOKEN)]);
            let error = world.build(ManagedIdentityCredential::builder()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().starts_with(name) && !shown(&error).contains("CANARY"), "{error}");
        }
    }
}

#[cfg(unix)]
#[test]
fn variables_that_are_no_text_are_refused_by_name() {
    use std::os::unix::ffi::OsStringExt as _;

    for name in ["IDENTITY_ENDPOINT", "IDENTITY_HEADER"] {
        let world = World::replies(APP_SERVICE, &[(200, TOKEN)]);
        world.env.set(name, std::ffi::OsString::from_vec(b"http://CANARY\xff".to_vec()));
        let error = world.build(ManagedIdentityCredential::builder()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(name) && !error.to_string().contains("CANARY"), "{error}");
    }
}

#[test]
fn ids_that_a_source_does_not_take_are_refused_when_it_is_chosen() {
    let builders = || {
        let new = ManagedIdentityCredential::builder;
        [
            ("client id", new().client_id(CLIENT)),
            ("object id", new().object_id(OBJECT)),
            ("resource id", new().resource_id(RESOURCE)),
        ]
    };
    for (vars, taken) in [
        (IMDS, &["client id", "object id", "resource id"][..]),
        (APP_SERVICE, &["client id", "object id", "resource id"]),
        (ARC, &["client id", "object id", "resource id"]),
        (AZURE_ML, &["client id"]),
        (CLOUD_SHELL, &[]),
        (SERVICE_FABRIC, &[]),
    ] {
        for (kind, builder) in builders() {
            let world = World::replies(vars, &[(200, TOKEN)]);
            let result = world.build(builder);
            assert_eq!(result.is_ok(), taken.contains(&kind), "{vars:?} {kind}");
            if let Err(error) = result {
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                let text = error.to_string();
                assert!(text.contains(kind) && text.contains(vars[0].0), "{text}");
            }
        }
    }
}

#[test]
fn one_well_formed_id_may_be_given() {
    let new = ManagedIdentityCredential::builder;
    let long = format!("/subscriptions/{}", "x".repeat(2000));
    for builder in [
        new().client_id(CLIENT).object_id(OBJECT),
        new().client_id(CLIENT).resource_id(RESOURCE),
        new().object_id(OBJECT).resource_id(RESOURCE),
        new().client_id(CLIENT).object_id(OBJECT).resource_id(RESOURCE),
        new().client_id(""),
        new().object_id(""),
        new().resource_id(""),
        new().client_id("a\"b"),
        new().client_id("a\r\nb"),
        new().client_id("a&b"),
        new().object_id("a b"),
        new().resource_id(CLIENT),
        new().resource_id("/subscriptions/s/x?y=z"),
        new().resource_id("/subscriptions/s/x\r\ny"),
        new().resource_id("/subscriptions/s/a b"),
        new().resource_id(&long),
    ] {
        let world = World::replies(IMDS, &[(200, TOKEN)]);
        let error = world.build(builder.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{builder:?}");
    }
    let world = World::replies(IMDS, &[(200, TOKEN)]);
    world.build(new().resource_id("/SUBSCRIPTIONS/s/resourceGroups/Größe(1)/providers/x")).unwrap();
}

#[test]
fn the_memory_for_failures_can_only_be_shortened() {
    let new = ManagedIdentityCredential::builder;
    let refusal: &[(u16, &str)] = &[(401, "{}")];
    for (builder, seconds) in [(new(), 60), (new().failure_memory(Duration::from_secs(5)), 5)] {
        let world = World::replies(APP_SERVICE, refusal);
        let credential = world.build(builder).unwrap();
        for (advance, requests) in [(0, 1), (seconds - 1, 1), (1, 2)] {
            world.clock.advance(Duration::from_secs(advance));
            assert_eq!(world.get(&credential).unwrap_err().kind(), ErrorKind::AuthenticationFailed);
            assert_eq!(world.transport.count(), requests, "{seconds} s");
        }
    }
    let world = World::replies(APP_SERVICE, refusal);
    let error = world.build(new().failure_memory(Duration::from_secs(61))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn the_choice_is_logged_once_with_the_variables_that_are_of_no_use() {
    let vars = [APP_SERVICE, POD_HOST, &ARC[1..], AZURE_ML, WORKLOAD].concat();
    let world = World::replies(&vars, &[(200, TOKEN)]);
    let lines = Log::of(|| {
        let credential = world.build(ManagedIdentityCredential::builder().client_id(CLIENT)).unwrap();
        world.get(&credential).unwrap();
        world.get(&credential.clone()).unwrap();
    });
    let info: Vec<_> = lines.iter().filter(|line| line.starts_with("INFO")).collect();
    assert_eq!(info.len(), 1, "{lines:?}");
    for word in [
        "\"App Service\"",
        CLIENT,
        "IMDS_ENDPOINT",
        "MSI_ENDPOINT",
        "MSI_SECRET",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    ] {
        assert!(info[0].contains(word), "{word}: {}", info[0]);
    }
    assert!(!info[0].contains("IDENTITY_HEADER") && !info[0].contains("http"), "{}", info[0]);
}
