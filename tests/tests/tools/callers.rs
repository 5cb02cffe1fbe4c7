//! Many callers, many scopes, and a tool that comes in its own way.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use identity_core::{
    AccessToken, Error,
    ErrorKind::{AuthenticationFailed, CredentialUnavailable, Transport},
    Result, TokenCredential,
};
use tokio::task::JoinSet;

use crate::world::{
    DONE, GONE, HELD, PATIENCE, SCOPE, TOOLS, World, answer, ask, build, get, prints, runtime, says, token,
};

const CALLERS: usize = 1_000;

/// A thousand who all wait for the same run, and what each of them got.
fn crowd(world: &World, credential: &Arc<dyn TokenCredential>) -> Vec<Result<AccessToken>> {
    runtime().block_on(async {
        let arrived = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..CALLERS {
            let (credential, arrived) = (Arc::clone(credential), Arc::clone(&arrived));
            tasks.spawn(async move {
                arrived.fetch_add(1, SeqCst);
                credential.get_token(&[SCOPE], None).await
            });
        }
        while arrived.load(SeqCst) < CALLERS || world.run_count() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.release();
        tasks.join_all().await
    })
}

#[test]
fn a_thousand_callers_share_one_run_and_its_token() {
    for tool in TOOLS {
        let world = World::new();
        world.plays(tool, &format!("{HELD}{}", says(&answer(tool, "one"))));
        let credential = world.credential(tool);
        let results = crowd(&world, &credential);
        assert_eq!(results.len(), CALLERS);
        assert!(results.iter().all(|result| result.as_ref().is_ok_and(|one| one.secret() == token("one"))));
        // Who comes later needs no run, nor a runtime.
        let later = credential.get_token(&[SCOPE], None).try_ready().ok().unwrap();
        assert_eq!(later.unwrap().secret(), token("one"));
        assert_eq!(world.run_count(), 1, "{tool}");
    }
}

#[test]
fn a_thousand_callers_share_one_run_and_its_failure() {
    for (tool, said) in [
        ("az", "ERROR: AADSTS7000215: Invalid client secret provided."),
        ("azd", "ERROR: fetching token: AADSTS7000215: Invalid client secret provided."),
        ("pwsh", "Get-AzAccessToken: AADSTS7000215: Invalid client secret provided."),
    ] {
        let world = World::new();
        world.plays(tool, &format!("{HELD}{} >&2; exit 1", says(said)));
        let credential = world.credential(tool);
        let told = |error: &Error| format!("{:?} {:?} {error}", error.kind(), error.entra_codes());
        let errors: Vec<Error> = crowd(&world, &credential).into_iter().map(Result::unwrap_err).collect();
        assert_eq!((errors[0].kind(), errors[0].entra_codes()), (AuthenticationFailed, &[7_000_215][..]));
        assert!(errors.iter().all(|error| told(error) == told(&errors[0])));
        assert_eq!(told(&get(&credential).unwrap_err()), told(&errors[0]));
        assert_eq!(world.run_count(), 1, "{tool}");
    }
}

#[test]
fn many_scopes_are_asked_for_four_at_a_time_whatever_the_tool() {
    let world = World::new();
    // One platform, whose turns all credentials share.
    let platform = world.platform();
    let credentials: Vec<_> = TOOLS.iter().map(|tool| build!(*tool, &platform).unwrap()).collect();
    TOOLS.iter().for_each(|tool| world.plays(tool, &format!("{HELD}{}{DONE}", says(&answer(tool, "one")))));
    runtime().block_on(async {
        let mut tasks = JoinSet::new();
        for number in 0..40 {
            let credential = Arc::clone(&credentials[number % TOOLS.len()]);
            tasks.spawn(
                async move { credential.get_token(&[&format!("https://r{number}.example/.default")], None).await },
            );
        }
        while world.run_count() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let fifth = async {
            while world.run_count() < 5 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_millis(300), fifth).await.is_err(), "a fifth was started");
        world.release();
        let results = tokio::time::timeout(PATIENCE, tasks.join_all()).await.unwrap();
        assert!(results.iter().all(|result| result.as_ref().is_ok_and(|one| one.secret() == token("one"))));
    });
    assert_eq!((world.run_count(), world.most_at_once()), (40, 4));
    let mut asked: Vec<String> = world.runs().iter().flat_map(|run| run.args.clone()).collect();
    asked.retain(|arg| arg.contains(".example"));
    asked.sort();
    asked.dedup();
    // PowerShell is told by a variable.
    assert_eq!(asked.len(), 27, "{asked:?}");
}

#[test]
fn who_waits_for_a_turn_does_not_lose_time_by_it() {
    let world = World::new();
    let platform = world.platform();
    world.plays("az", &format!("{HELD}{}", says(&answer("az", "one"))));
    let all = build!("az", &platform, process_timeout(Duration::from_secs(30)), no_cache()).unwrap();
    let one = build!("azd", &platform, process_timeout(WAIT)).unwrap();
    runtime().block_on(async {
        let mut tasks: JoinSet<_> = (0..4).map(|_| ask(&all)).collect();
        while world.run_count() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // It waits longer than it may run.
        tasks.spawn(ask(&one));
        tokio::time::sleep(WAIT).await;
        assert_eq!(world.run_count(), 4);
        world.release();
        assert!(
            tasks.join_all().await.iter().all(|result| result.as_ref().is_ok_and(|it| it.secret() == token("one")))
        );
    });
    assert_eq!(world.run_count(), 5);
}

const WAIT: Duration = Duration::from_secs(2);

#[test]
fn callers_who_go_while_they_wait_or_run_leave_their_turns_to_others() {
    let world = World::new();
    world.plays("az", "sleep 77 & sleep 77");
    let credential = build!("az", &world.platform(), no_cache()).unwrap();
    runtime().block_on(async {
        let mut running: JoinSet<_> = (0..4).map(|_| ask(&credential)).collect();
        while world.run_count() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut waiting: JoinSet<_> = (0..20).map(|_| ask(&credential)).collect();
        assert!(tokio::time::timeout(Duration::from_millis(50), waiting.join_next()).await.is_err());
        waiting.shutdown().await;
        assert_eq!(world.run_count(), 4);
        world.answers("az", "two");
        let mut others: JoinSet<_> = (0..8).map(|_| ask(&credential)).collect();
        assert!(tokio::time::timeout(Duration::from_millis(50), others.join_next()).await.is_err());
        running.shutdown().await;
        let results = others.join_all().await;
        assert!(results.iter().all(|result| result.as_ref().is_ok_and(|it| it.secret() == token("two"))));
    });
    assert_eq!(world.run_count(), 12);
}

#[test]
fn without_a_cache_every_call_is_a_run() {
    for tool in TOOLS {
        let world = World::new();
        let credential = build!(tool, &world.platform(), no_cache()).unwrap();
        for count in 1..=3 {
            get(&credential).unwrap();
            assert_eq!(world.run_count(), count);
        }
        world.plays(tool, &format!("{}{DONE}", says(&answer(tool, "one"))));
        fs::remove_file(world.path("log")).unwrap();
        runtime().block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..8 {
                tasks.spawn(ask(&credential));
            }
            assert!(tasks.join_all().await.iter().all(Result::is_ok));
        });
        assert_eq!(world.run_count(), 8);
        assert!(world.most_at_once() <= 4);
    }
}

#[test]
fn the_order_of_scopes_does_not_matter() {
    let world = World::new();
    let credential = world.credential("azd");
    let ask = |scopes: &[&str]| runtime().block_on(credential.get_token(scopes, None)).unwrap();
    ask(&["https://a.example/x", "https://a.example/y"]);
    ask(&["https://a.example/y", "https://a.example/x"]);
    ask(&["https://a.example/x", "https://a.example/y"]);
    assert_eq!(world.run_count(), 1);
    let args = world.runs()[0].args.clone();
    assert_eq!(args.iter().filter(|arg| *arg == "--scope").count(), 2, "{args:?}");
}

/// What a tool says when another of its kind writes the files that it reads.
const RACES: [(&str, &str); 4] = [
    ("az", "ERROR: User 'x' does not exist in MSAL token cache. Run `az login`."),
    ("az", "ERROR: Could not retrieve credential from local cache for service principal x. Run `az login` for this."),
    ("az", "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
    ("pwsh", "Import-Module: The file is locked because it is being used by another process."),
];

#[test]
fn a_tool_that_came_in_its_own_way_is_run_once_more() {
    for (tool, said) in RACES {
        let world = World::new();
        let first = format!("if [ $(wc -l <\"$world/log\") -eq 1 ]; then {}; fi", prints("", said, Some(1)));
        world.plays(tool, &format!("{first}\n{}", says(&answer(tool, "one"))));
        assert_eq!(get(&world.credential(tool)).unwrap().secret(), token("one"), "{said}");
        assert_eq!(world.run_count(), 2, "{said}");
    }
}

#[test]
fn a_tool_that_stays_in_its_own_way_is_run_twice_and_quoted() {
    for ((tool, said), (kind, words)) in RACES.into_iter().zip([
        (AuthenticationFailed, "nobody is signed in to the Azure CLI (az); run `az login`"),
        (AuthenticationFailed, "nobody is signed in to the Azure CLI (az); run `az login`"),
        (Transport, "Expecting value: line 1 column 1 (char 0)"),
        (CredentialUnavailable, "it is being used by another process"),
    ]) {
        let world = World::new();
        world.plays(tool, &prints("", said, Some(1)));
        // One with a cache, and one without.
        for (count, credential) in
            [(2, build!(tool, &world.platform())), (4, build!(tool, &world.platform(), no_cache()))]
        {
            let error = get(&credential.unwrap()).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(world.run_count(), count, "{said}");
        }
    }
}

#[test]
fn what_is_not_such_a_race_is_run_once() {
    for (tool, said) in
        [("az", "ERROR: no"), ("azd", "ERROR: User x does not exist in MSAL token cache"), ("pwsh", "no")]
    {
        let world = World::new();
        world.plays(tool, &format!("{} >&2; exit 1", says(said)));
        get(&world.credential(tool)).unwrap_err();
        assert_eq!(world.run_count(), 1, "{said}");
    }
}

#[test]
fn the_second_run_ends_with_its_caller_as_well() {
    let world = World::new();
    let race = format!("if [ $(wc -l <\"$world/log\") -eq 1 ]; then {} >&2; exit 1; fi", says("JSONDecodeError"));
    world.plays("az", &format!("{race}\nsleep 77 & sleep 77"));
    let credential = world.credential("az");
    runtime().block_on(async {
        let asking = tokio::spawn(ask(&credential));
        world.see(3, PATIENCE).await;
        assert_eq!(world.run_count(), 2);
        asking.abort();
        world.see(0, GONE).await;
    });
}
