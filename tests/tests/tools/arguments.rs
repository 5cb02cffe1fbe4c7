//! What is refused before anything is started, and what arrives when it is not.

use identity_cli::AzureCliCredential;
use identity_core::{CallContext, ErrorKind::InvalidArgument, TokenCredential as _, TokenRequestOptions};

use crate::world::{CONTEXTS, SCOPE, TOOLS, World, build, get_with, runtime};

fn is_refused(world: &World, tool: &str, scopes: &[&str], options: &TokenRequestOptions) {
    let caches = [build!(tool, &world.platform()), build!(tool, &world.platform(), no_cache())];
    for credential in caches.map(Result::unwrap) {
        let error = runtime().block_on(credential.get_token(scopes, Some(options))).unwrap_err();
        assert_eq!(error.kind(), InvalidArgument, "{tool} {scopes:?} {options:?}: {error}");
        assert_eq!(error.credential(), credential.name());
        assert!(error.to_string().len() < 1_000 && !error.to_string().contains(['\n', '\0', '\u{1b}']), "{error:?}");
    }
}

#[test]
fn what_is_no_tenant_starts_nothing() {
    let long = "a".repeat(300);
    let world = World::new();
    for tenant in [
        "",
        "-",
        "--debug",
        "-x",
        "../../evil.example/x",
        "a/b",
        "a?b",
        "a#b",
        "a%2fb",
        "a@b",
        "a\0b",
        "..",
        ".a",
        "a.",
        "a b",
        " a",
        "a\n",
        "a'b",
        "a\"b",
        "a;b",
        "$(id)",
        "`id`",
        "a&b",
        "a|b",
        "%COMSPEC%",
        "a^b",
        "a!b",
        "a\\b",
        "a_b",
        "тенант",
        "ｃontoso",
        "contoso\u{202e}",
        &long,
    ] {
        for tool in TOOLS {
            let built = build!(tool, &world.platform(), tenant_id(tenant));
            assert_eq!(built.unwrap_err().kind(), InvalidArgument, "{tool} {tenant:?}");
            let built = build!(tool, &world.platform(), additionally_allowed_tenants([tenant]));
            assert_eq!(built.unwrap_err().kind(), InvalidArgument, "{tool} {tenant:?}");
            if !tenant.is_empty() {
                is_refused(&world, tool, &[SCOPE], &TokenRequestOptions::new().with_tenant_id(tenant));
            }
        }
    }
    // One that is none of those that are allowed.
    for tool in TOOLS {
        let credential = build!(tool, &world.platform(), tenant_id("own.example")).unwrap();
        let options = TokenRequestOptions::new().with_tenant_id("other.example");
        let error = get_with(&credential, &options).unwrap_err();
        assert_eq!(error.kind(), InvalidArgument);
    }
    assert_eq!(world.run_count(), 0);
}

#[test]
fn what_is_no_scope_starts_nothing() {
    let (long, longer) = (format!("https://{}", "a".repeat(505)), "a".repeat(64 * 1024));
    let many = vec!["https://a.example/x"; 1_000];
    let world = World::new();
    let bad = [
        "",
        "--help",
        "-x",
        "-",
        "a b",
        " a",
        "a\tb",
        "a\nb",
        "a\r\nb",
        "a\0b",
        "a\"b",
        "a'b",
        "a`b",
        "a&b",
        "a|b",
        "a;b",
        "a$b",
        "a(b",
        "a)b",
        "a^b",
        "a%b",
        "a!b",
        "a<b",
        "a>b",
        "a\\b",
        "a*b",
        "a?b",
        "a[b",
        "a{b",
        "a~b",
        "a#b",
        "a,b",
        "a=b",
        "a@b",
        "a+b",
        "\u{1b}[31m",
        "https://vаult.azure.net/.default",
        "ｈttps://a",
        "a\u{202e}b",
        &long,
        &longer,
    ];
    for tool in TOOLS {
        let mut rows: Vec<Vec<&str>> = bad.iter().map(|scope| vec![*scope]).collect();
        rows.extend([vec![], many.clone(), vec![SCOPE, "--help"], vec!["https://a.example/x"; 17]]);
        if tool != "azd" {
            rows.extend([vec![SCOPE, SCOPE], vec!["https://a.example/x", "https://a.example/y"], vec!["/.default"]]);
        }
        for scopes in rows {
            for context in [CallContext::Alone, CallContext::DefaultChain] {
                is_refused(&world, tool, &scopes, &TokenRequestOptions::new().with_context(context));
            }
        }
    }
    assert_eq!(world.run_count(), 0);
}

#[test]
fn what_are_no_claims_starts_nothing() {
    let (large, deep) = (format!(r#"{{"a":"{}"}}"#, "x".repeat(200_000)), "{\"a\":".repeat(10_000));
    let world = World::new();
    for claims in [" ", "x", "[]", "{", "{\"a\":}", &large, &deep] {
        for tool in TOOLS {
            is_refused(&world, tool, &[SCOPE], &TokenRequestOptions::new().with_claims(claims));
        }
    }
    assert_eq!(world.run_count(), 0);
}

#[test]
fn what_is_no_subscription_starts_nothing() {
    let long = "a".repeat(129);
    let world = World::new();
    for subscription in [
        "",
        " ",
        "x\" & calc",
        "%COMSPEC%",
        "--only-show-errors",
        "-x",
        "a;b",
        "a|b",
        "$(id)",
        "`id`",
        "a\nb",
        "a\0b",
        "a'b",
        "a/b",
        "a\\b",
        "a(b)",
        "подписка",
        &long,
    ] {
        let built = AzureCliCredential::builder().subscription(subscription).build_with(&world.platform());
        assert_eq!(built.unwrap_err().kind(), InvalidArgument, "{subscription:?}");
    }
    // A subscription has its own tenant.
    let both = AzureCliCredential::builder().subscription("a").tenant_id("b").build_with(&world.platform());
    assert_eq!(both.unwrap_err().kind(), InvalidArgument);
    let credential = AzureCliCredential::builder().subscription("a").build_with(&world.platform()).unwrap();
    let options = TokenRequestOptions::new().with_tenant_id("b");
    let error = runtime().block_on(credential.get_token(&[SCOPE], Some(&options))).unwrap_err();
    assert_eq!(error.kind(), InvalidArgument);
    assert_eq!(world.run_count(), 0);
}

#[test]
fn nothing_is_started_outside_a_runtime() {
    let world = World::new();
    for tool in TOOLS {
        for credential in [build!(tool, &world.platform()), build!(tool, &world.platform(), no_cache())] {
            let credential = credential.unwrap();
            let mut asking = Box::pin(credential.get_token(&[SCOPE], None));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            match asking.as_mut().poll(&mut context) {
                std::task::Poll::Ready(result) => assert_eq!(result.unwrap_err().kind(), InvalidArgument),
                std::task::Poll::Pending => panic!("{tool} waits"),
            }
        }
    }
    assert_eq!(world.run_count(), 0);
}

#[test]
fn claims_start_nothing_where_the_tool_cannot_take_them() {
    let world = World::new();
    for tool in ["az", "pwsh"] {
        for context in CONTEXTS {
            let options = TokenRequestOptions::new().with_claims(r#"{"a":1}"#).with_context(context);
            let error = get_with(&world.credential(tool), &options).unwrap_err();
            assert!(error.is_unavailable(), "{error}");
            assert!(error.to_string().contains(" eyJhIjoxfQ=="), "{error}");
        }
    }
    assert_eq!(world.run_count(), 0);
}

/// The arguments of az and azd, asked with these scopes, tenant and claims.
type Row<'a> = (&'a str, &'a [&'a str], Option<&'a str>, Option<&'a str>, &'a [&'a str]);

#[test]
fn arguments_arrive_one_by_one_as_they_are() {
    let long = format!("https://{}", "a".repeat(504));
    assert_eq!(long.len(), 512);
    let az = ["account", "get-access-token", "--output", "json", "--resource"];
    let azd = ["auth", "token", "--output", "json", "--no-prompt"];
    let rows: [Row<'_>; 8] = [
        ("az", &[SCOPE], None, None, &["https://vault.azure.net"]),
        ("az", &["https://vault.azure.net//.default"], None, None, &["https://vault.azure.net/"]),
        (
            "az",
            &["api://a_b-c.d/x"],
            Some("contoso.example"),
            None,
            &["api://a_b-c.d/x", "--tenant", "contoso.example"],
        ),
        ("az", &[&long], None, None, &[&long]),
        ("azd", &[SCOPE], None, None, &["--scope", SCOPE]),
        (
            "azd",
            &["https://a.example/x", "https://a.example/y"],
            Some("contoso.example"),
            None,
            &["--scope", "https://a.example/x", "--scope", "https://a.example/y", "--tenant-id", "contoso.example"],
        ),
        ("azd", &[&long], None, None, &["--scope", &long]),
        ("azd", &[SCOPE], None, Some(r#"{"a":1}"#), &["--scope", SCOPE, "--claims", "eyJhIjoxfQ=="]),
    ];
    for (tool, scopes, tenant, claims, expected) in rows {
        let world = World::new();
        let mut options = TokenRequestOptions::new();
        if let Some(tenant) = tenant {
            options = options.with_tenant_id(tenant);
        }
        if let Some(claims) = claims {
            options = options.with_claims(claims);
        }
        runtime().block_on(world.credential(tool).get_token(scopes, Some(&options))).unwrap();
        let start: &[&str] = if tool == "az" { &az } else { &azd };
        assert_eq!(world.runs()[0].args, [start, expected].concat());
    }
}

#[test]
fn a_subscription_with_blanks_is_one_argument() {
    let world = World::new();
    let credential =
        AzureCliCredential::builder().subscription("My Team - Dev_1.0").build_with(&world.platform()).unwrap();
    runtime().block_on(credential.get_token(&[SCOPE], None)).unwrap();
    assert_eq!(world.runs()[0].args[5..], ["https://vault.azure.net", "--subscription", "My Team - Dev_1.0"]);
}
