//! Every transcript, and what it comes to.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use identity_cli::{AzureCliCredential, AzureDeveloperCliCredential, AzurePowerShellCredential};
use identity_core::{
    AccessToken, CallContext,
    ErrorKind::{AuthenticationFailed, AuthenticationRequired, CredentialUnavailable},
    Result, TokenCredential, TokenRequestOptions,
    fakes::{FakeClock, FakeEnv, FakeProcesses, FakeTransport, Sim, json, platform},
    process::Output,
};
use serde::Deserialize;

use crate::rows::{
    Expected::{self, Failed, SignedOut, Token},
    ROWS,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transcript {
    pub(crate) case: String,
    #[expect(dead_code, reason = "for the reader of the file")]
    what: String,
    #[expect(dead_code, reason = "for the reader of the file")]
    tool: String,
    #[expect(dead_code, reason = "for the reader of the file")]
    source: serde_json::Value,
    #[expect(dead_code, reason = "for the reader of the file")]
    verbatim: bool,
    pub(crate) exit_code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn read(tool: &str) -> Vec<Transcript> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts").join(tool);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let transcript: Transcript = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            assert_eq!(Some(transcript.case.as_str()), path.file_stem().unwrap().to_str());
            transcript
        })
        .collect()
}

/// Runs a tool that prints a transcript at this time of day; says what came of it, and how often the tool was run.
pub(crate) type Play<'a> = &'a dyn Fn(&Transcript, CallContext, u64) -> (Result<AccessToken>, usize);

/// What `play` must come to. An error that a chain goes on after may be one of three kinds; all others are of the kind that
/// is said.
pub(crate) fn check(tool: &str, transcript: &Transcript, expected: &Expected, play: Play<'_>) {
    let case = format!("{tool}/{}", transcript.case);
    for context in [CallContext::Alone, CallContext::Chain, CallContext::DefaultChain] {
        let expires_on = if let Token(seconds) = expected { *seconds } else { FakeClock::START };
        let (result, runs) = play(transcript, context, expires_on - 3600);
        let (kind, codes, words) = match (expected, &result) {
            (Token(seconds), Ok(token)) => {
                assert_eq!(token.secret(), TOKEN, "{case}");
                // A real clock is somewhere within its second.
                let expires_on = token.expires_on().duration_since(SystemTime::UNIX_EPOCH).unwrap();
                assert_eq!(expires_on.as_secs(), *seconds, "{case}");
                assert_eq!(runs, 1, "{case}");
                continue;
            }
            (Token(_), Err(error)) => panic!("{case}: {error}"),
            (SignedOut(words), _) => (AuthenticationFailed, &[][..], words),
            (Failed(kind, codes, words), _) => (*kind, *codes, words),
        };
        let error = result.expect_err(&case);
        let goes_on = match context {
            CallContext::Alone => false,
            CallContext::Chain => matches!(expected, SignedOut(_)),
            _ => kind != AuthenticationRequired,
        };
        let kind = if goes_on { CredentialUnavailable } else { kind };
        assert_eq!((error.kind(), error.entra_codes()), (kind, codes), "{case} {context:?}: {error}");
        let message = error.to_string();
        assert!(message.contains(words), "{case}: {message}");
        assert!(
            message.len() < 1800 && !message.contains(['\n', '\u{1b}']) && !message.contains("\\u{"),
            "{case}: {message}"
        );
        // Whoever prints everything shows no part of a token.
        assert!(!format!("{message} {error:?} {error:#?}").contains(&TOKEN[..24]), "{case}: {error:?}");
        if kind == AuthenticationRequired {
            assert_eq!(error.scopes(), [SCOPE], "{case}");
        }
        // Where the tool came in its own way it is run once more.
        let is_race = ["race-", "-locked", "-mutex-"].iter().any(|mark| transcript.case.contains(mark));
        assert_eq!(runs, if is_race { 2 } else { 1 }, "{case}");
    }
}

/// What the row of a transcript says.
pub(crate) fn expected(tool: &str, transcript: &Transcript) -> &'static Expected {
    let row = ROWS.iter().find(|row| (row.0, row.1) == (tool, transcript.case.as_str()));
    row.map(|row| &row.2).unwrap_or_else(|| panic!("no row for {tool}/{}", transcript.case))
}

#[test]
fn every_transcript_comes_to_what_its_row_says() {
    for tool in ["az", "azd", "powershell"] {
        let transcripts = read(tool);
        for transcript in &transcripts {
            check(tool, transcript, expected(tool, transcript), &|transcript, context, wall| {
                run(tool, transcript, context, wall)
            });
        }
        assert_eq!(
            transcripts.len(),
            ROWS.iter().filter(|row| row.0 == tool).count(),
            "a row of {tool} has no transcript"
        );
    }
}

/// Asks for a token at that time of day; says how often the tool was run.
fn run(tool: &str, transcript: &Transcript, context: CallContext, wall: u64) -> (Result<AccessToken>, usize) {
    let clock = FakeClock::default();
    clock.jump_wall(wall as i64 - FakeClock::START as i64);
    let (code, stderr) = (transcript.exit_code, transcript.stderr.clone());
    let stdout = transcript.stdout.replace("<token>", TOKEN);
    let programs = ["/usr/bin/az", "/usr/bin/azd", "/usr/bin/pwsh"];
    let processes = FakeProcesses::new(&clock, &programs, Duration::from_millis(500), move |_| {
        Ok(Output::new(code, stdout.clone().into(), stderr.clone().into()))
    });
    let transport = FakeTransport::new(&clock, |_| Ok(json(500, "{}")));
    let env = FakeEnv::new(&[("PATH", "/usr/bin"), ("HOME", "/home/user")]);
    let platform = platform(&clock, &transport, &env).with_processes(Arc::new(processes.clone()));
    let credential: Box<dyn TokenCredential> = match tool {
        "az" => Box::new(AzureCliCredential::builder().build_with(&platform).unwrap()),
        "azd" => Box::new(AzureDeveloperCliCredential::builder().build_with(&platform).unwrap()),
        _ => Box::new(AzurePowerShellCredential::builder().build_with(&platform).unwrap()),
    };
    let options = TokenRequestOptions::new().with_context(context);
    let result = Sim::new(&clock).run(credential.get_token(&[SCOPE], Some(&options)));
    assert_eq!(transport.count(), 0);
    (result, processes.commands().len())
}

const SCOPE: &str = "https://vault.azure.net/.default";
pub(crate) const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl";
