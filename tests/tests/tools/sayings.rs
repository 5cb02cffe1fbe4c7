//! What tools say: before their answer, in other languages, and what nobody should read.

use std::{fs, time::Duration};

use identity_core::ErrorKind::{AuthenticationFailed, AuthenticationRequired, CredentialUnavailable, Protocol};
use identity_tests::{Logs, find_secret, shown};

use crate::world::{World, answer, build, each_tool, get, prints, token};

/// Has a stand-in print these bytes, and end with this code.
fn copies(world: &World, tool: &str, stdout: &[u8], stderr: &[u8], code: i32) {
    fs::write(world.path("stdout"), stdout).unwrap();
    fs::write(world.path("stderr"), stderr).unwrap();
    world.plays(tool, &format!("cat \"$world/stdout\"; cat \"$world/stderr\" >&2; exit {code}"));
}

#[test]
fn what_comes_before_the_answer_is_passed_over_up_to_four_kibibytes() {
    const LIMIT: usize = 4 * 1024;
    each_tool(|tool| {
        let world = World::new();
        let noise = |len: usize| format!("{}\n", "WARNING: x {y}".repeat(len).get(..len - 1).unwrap()).into_bytes();
        for (what, before, is_fine) in [
            ("nothing", Vec::new(), true),
            ("a byte order mark", b"\xef\xbb\xbf".to_vec(), true),
            ("a warning", b"WARNING: a new version {2.92} is there\r\n\r\n".to_vec(), true),
            ("a mark and a warning", b"\xef\xbb\xbfWARNING: x\n".to_vec(), true),
            ("colours", b"\x1b[33mWARNING: x\x1b[0m\n".to_vec(), true),
            ("bytes that are no text", b"\xd7\xa2\xd2\xe2\xff\xfe\n".to_vec(), true),
            ("as much as may be", noise(LIMIT), true),
            // PowerShell's line is told from all others by its beginning.
            ("more than may be", noise(LIMIT + 1), tool == "pwsh"),
        ] {
            for after in ["\n", "\nWARNING: and more\n"] {
                let stdout = [&before, answer(tool, "one").as_bytes(), after.as_bytes()].concat();
                copies(&world, tool, &stdout, &before, 0);
                match get(&world.credential(tool)) {
                    Ok(got) => assert!(is_fine && got.secret() == token("one"), "{tool}: {what}"),
                    Err(error) => assert!(!is_fine && error.kind() == Protocol, "{tool}: {what}: {error}"),
                }
            }
        }
    });
}

#[test]
fn what_is_said_in_any_language_is_told_by_its_code() {
    // In GBK, in UTF-16, and in colour.
    let sayings = [
        ("GBK", b"ERROR: \xc7\xeb\xca\xb9\xd3\xc3 AADSTS50076: \xb6\xe0\xd2\xf2\xcb\xd8".to_vec()),
        ("colours", "\u{1b}[91mERROR: \u{1b}[1mAADSTS50076\u{1b}[0m: многофакторная\u{1b}]0;x\u{7}\u{202e}".into()),
        ("French", "ERROR: AADSTS50076 : vous devez utiliser l'authentification multifacteur.\r\n".into()),
        ("Latin-1", b"ERROR: AADSTS50076: authentification \xe0 plusieurs facteurs n\xe9cessaire".to_vec()),
    ];
    each_tool(|tool| {
        let world = World::new();
        for (what, said) in &sayings {
            copies(&world, tool, b"", said, 1);
            let error = get(&world.credential(tool)).unwrap_err();
            assert_eq!((error.kind(), error.entra_codes()), (AuthenticationRequired, &[50_076][..]), "{what}: {error}");
            let message = error.to_string();
            assert!(
                message.contains("run `") && !message.contains(['\u{1b}', '\n', '\r', '\u{7}', '\u{202e}']),
                "{message}"
            );
        }
        // Without a code the exit code is all there is.
        for said in
            [&b"ERROR: \xc7\xeb\xca\xb9\xd3\xc3"[..], "\u{1b}[91mERROR: нет\u{1b}[0m".as_bytes(), b"\xff\xfe\0\0", b""]
        {
            for (code, others) in [(1, AuthenticationFailed), (2, AuthenticationFailed), (127, CredentialUnavailable)] {
                copies(&world, tool, b"", said, code);
                let error = get(&world.credential(tool)).unwrap_err();
                let kind = if tool == "pwsh" { CredentialUnavailable } else { others };
                assert_eq!(error.kind(), kind, "{tool} {code}: {error}");
                assert!(error.to_string().contains(&format!("exit code {code}")), "{error}");
                assert!(!error.to_string().contains(['\u{1b}', '\n', '\0']), "{error:?}");
            }
        }
    });
}

/// Variables that hold secrets, and what they hold. The last have what no secret of Entra ID has, but a password may.
const VARIABLES: [(&str, &str); 3] = [
    ("AZURE_CLIENT_SECRET", "Xy8~canary.one-two_three"),
    ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "canary  with two \"blanks\""),
    ("AZURE_PASSWORD", "canary-of-seventy-characters-and-more-0123456789-0123456789-0123456789!%!tail-of-canary"),
];

#[test]
fn no_secret_is_shown_whatever_a_tool_says() {
    let opaque = format!("1.AXoA{}", "canary-Bc3_x.Y".repeat(40));
    let jwt = format!("{}{}", token("canary"), "canary".repeat(20));
    let short = "shortcanary";
    let secrets: Vec<&str> =
        VARIABLES.iter().map(|(_, value)| *value).chain([opaque.as_str(), &jwt, short, "canary"]).collect();
    let variables = VARIABLES.map(|(_, value)| value);
    let lines = [
        format!("the secret {} is wrong", variables[0]),
        format!("the secret {} is wrong", variables[1]),
        format!("the secret {} is wrong", variables[2]),
        format!("--password={} --password {}", variables[0], variables[2]),
        format!("secret=%58y8%7Ecanary.one-two_three&password={}", "canary++with+two+%22blanks%22"),
        format!("{{\"password\": \"{}\"}}", r#"canary  with two \"blanks\""#),
        format!("Authorization: Bearer {jwt}"),
        format!("https://a.example/?refresh_token={opaque}&x=1"),
        format!("'refreshToken': '{opaque}'"),
        format!("{{\"accessToken\": \"{short}\", \"refresh_token\":\"{short}\", \"idToken\" : \"{short}\"}}"),
        format!("{{\"token\": \"{short}"),
        format!("{{\"error\": \"it printed {} and {}\", \"accessToken\": \"{short}\"}}", jwt, variables[0]),
        format!("{}: {jwt}", "x".repeat(3_000)),
    ];
    each_tool(|tool| {
        let world = World::new();
        let platform = world.platform_with(&VARIABLES);
        for line in &lines {
            for (prefix, code) in [("", 0), ("", 1), ("ERROR: AADSTS7000215: ", 1)] {
                let said = format!("{prefix}{line}\n");
                for (stdout, is_cached) in [(said.as_str(), true), ("", false)] {
                    world.plays(tool, &prints(stdout, &said, Some(code)));
                    let cached = build!(tool, &platform);
                    let credential = if is_cached { cached } else { build!(tool, &platform, no_cache()) }.unwrap();
                    let error = get(&credential).unwrap_err();
                    let text = format!("{}{credential:?}{credential:#?}", shown(&error));
                    assert_eq!(find_secret(&text, secrets.iter().copied()), None, "{tool} {code}: {said}{text}");
                }
            }
        }
        assert!(world.runs().iter().all(|run| !run.args.join(" ").contains("canary")));
    });
    let log = Logs::of_process().text();
    assert!(log.contains("the tool has ended"));
    assert_eq!(find_secret(&log, secrets), None);
}

#[test]
fn a_time_of_expiry_of_this_place_is_no_time() {
    let world = World::new();
    let answer = format!(r#"{{"accessToken": "{}", "expiresOn": "2099-01-01 00:00:00.000000"}}"#, token("one"));
    world.plays("az", &prints(&answer, "", Some(0)));
    let error = get(&world.credential("az")).unwrap_err();
    assert_eq!(error.kind(), Protocol);
    assert!(error.to_string().contains("2.54.0") && error.to_string().contains("`az upgrade`"), "{error}");
    assert_eq!(world.run_count(), 1);
}

#[test]
fn a_token_that_is_none_or_is_old_is_not_handed_out() {
    for (tool, template) in [
        ("az", r#"{"accessToken": "TOKEN", "expires_on": EXPIRY}"#),
        ("azd", r#"{"token": "TOKEN", "expiresOn": "TIME"}"#),
        ("pwsh", "azsdk%TOKEN%EXPIRY"),
    ] {
        let world = World::new();
        for (token, expiry, time) in [
            ("", "4070908800", "2099-01-01T00:00:00Z"),
            ("a b", "4070908800", "2099-01-01T00:00:00Z"),
            ("a\u{e9}", "4070908800", "2099-01-01T00:00:00Z"),
            ("a", "1", "1970-01-01T00:00:01Z"),
            ("a", "0", "0001-01-01T00:00:00Z"),
            ("a", "-1", "1969-12-31T23:59:59Z"),
            ("a", "", ""),
            ("a", "soon", "2099-13-01T00:00:00Z"),
        ] {
            let answer = template.replace("TOKEN", token).replace("EXPIRY", expiry).replace("TIME", time);
            world.plays(tool, &prints(&answer, "", Some(0)));
            let result = get(&world.credential(tool));
            assert!(result.as_ref().is_err_and(|error| error.kind() == Protocol), "{answer}: {result:?}");
        }
    }
}

#[test]
fn an_answer_on_the_wrong_output_is_none() {
    each_tool(|tool| {
        let world = World::new();
        world.plays(tool, &prints("", &answer(tool, "one"), Some(0)));
        let credential = build!(tool, &world.platform(), process_timeout(Duration::from_secs(20))).unwrap();
        let error = get(&credential).unwrap_err();
        assert_eq!(error.kind(), Protocol, "{error}");
        // And one of a tool that failed is not taken.
        world.plays(tool, &prints(&answer(tool, "one"), "", Some(1)));
        let error = get(&world.credential(tool)).unwrap_err();
        assert!(!shown(&error).contains(&token("one")), "{error:?}");
    });
}
