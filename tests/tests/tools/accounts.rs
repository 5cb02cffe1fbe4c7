//! Somebody else signs in to the tool while a token, or that there is none, is remembered.

use std::{
    fs,
    time::{Duration, Instant},
};

use identity_core::{ErrorKind::AuthenticationFailed, TokenRequestOptions};

use crate::world::{
    CONTEXTS, HELD, PATIENCE, World, answer, ask, build, each_tool, get, get_with, runtime, says, token,
};

/// The files that say whose tokens a tool prints.
const FILES: [(&str, &str); 9] = [
    ("az", ".azure/azureProfile.json"),
    ("az", ".azure/clouds.config"),
    ("az", ".azure/config"),
    ("azd", ".azd/auth.json"),
    ("azd", ".azd/config.json"),
    ("azd", ".azure/azureProfile.json"),
    ("pwsh", ".Azure/AzureRmContext.json"),
    ("pwsh", ".Azure/AzureRmContextSettings.json"),
    // Where a variable says so.
    ("az", "elsewhere/azureProfile.json"),
];

/// How a tool leaves a file behind.
const CHANGES: [fn(&World, &str); 3] = [
    |world, file| fs::write(world.path(file), "somebody else").unwrap(),
    |world, file| {
        // Of the same size, and moved over the old one.
        fs::write(world.path("moved"), "somebody").unwrap();
        fs::rename(world.path("moved"), world.path(file)).unwrap();
    },
    |world, file| fs::remove_file(world.path(file)).unwrap(),
];

#[test]
fn another_account_is_noticed_within_a_second() {
    for (tool, file) in FILES {
        for change in CHANGES {
            let world = World::new();
            let elsewhere = world.path("elsewhere");
            fs::create_dir(&elsewhere).unwrap();
            fs::write(world.path(file), "somebody").unwrap();
            let variables = [("AZURE_CONFIG_DIR", elsewhere.to_str().unwrap())];
            let platform = world.platform_with(if file.contains("elsewhere") { &variables } else { &[] });
            let credential = build!(tool, &platform).unwrap();
            assert_eq!(get(&credential).unwrap().secret(), token("one"));
            world.jump(1);
            assert_eq!(get(&credential).unwrap().secret(), token("one"));
            assert_eq!(world.run_count(), 1, "{file}: nothing has changed");

            world.answers(tool, "two");
            change(&world, file);
            world.jump(1);
            assert_eq!(get(&credential).unwrap().secret(), token("two"), "{file}");
            assert_eq!(get(&credential).unwrap().secret(), token("two"));
            assert_eq!(world.run_count(), 2, "{file}");
        }
    }
}

#[test]
fn a_second_is_a_second_by_the_real_clock() {
    each_tool(|tool| {
        let world = World::new();
        let file = FILES.iter().find(|(of, _)| *of == tool).unwrap().1;
        let credential = world.credential(tool);
        assert_eq!(get(&credential).unwrap().secret(), token("one"));
        // The files were looked at before this.
        let start = Instant::now();
        world.answers(tool, "two");
        fs::write(world.path(file), "somebody else").unwrap();
        let mut asked_at = Instant::now();
        while get(&credential).unwrap().secret() != token("two") {
            assert!(asked_at.duration_since(start) <= Duration::from_secs(1), "{tool}");
            std::thread::sleep(Duration::from_millis(10));
            asked_at = Instant::now();
        }
        assert_eq!(world.run_count(), 2);
    });
}

#[test]
fn a_token_of_before_the_change_is_not_kept_by_a_run_that_was_under_way() {
    each_tool(|tool| {
        let world = World::new();
        let file = FILES.iter().find(|(of, _)| *of == tool).unwrap().1;
        world.plays(tool, &format!("{HELD}{}", says(&answer(tool, "one"))));
        let credential = world.credential(tool);
        runtime().block_on(async {
            let asking = tokio::spawn(ask(&credential));
            while world.run_count() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // The stand-in has read its play.
            world.see(2, PATIENCE).await;
            fs::write(world.path(file), "somebody else").unwrap();
            world.answers(tool, "two");
            world.release();
            assert_eq!(asking.await.unwrap().unwrap().secret(), token("one"));
        });
        world.jump(1);
        assert_eq!(get(&credential).unwrap().secret(), token("two"), "{tool}");
        assert_eq!(world.run_count(), 2);
    });
}

#[test]
fn a_sign_in_is_noticed_at_once_after_a_refusal() {
    for (tool, said) in [
        ("az", "ERROR: Please run \"az login\" to setup account.".replace('"', "`")),
        ("azd", "ERROR: not logged in, run `azd auth login` to login".to_owned()),
        ("pwsh", "Get-AzAccessToken: Run Connect-AzAccount to login.".to_owned()),
    ] {
        for context in CONTEXTS {
            let world = World::new();
            let file = FILES.iter().find(|(of, _)| *of == tool).unwrap().1;
            world.plays(tool, &format!("{} >&2; exit 1", says(&said)));
            let (credential, options) = (world.credential(tool), TokenRequestOptions::new().with_context(context));
            let ask = || get_with(&credential, &options);
            let error = ask().unwrap_err();
            assert!(error.to_string().contains("nobody is signed in"), "{error}");
            if error.kind() == AuthenticationFailed {
                // It is handed out again.
                assert_eq!(ask().unwrap_err().to_string(), error.to_string());
                assert_eq!(world.run_count(), 1, "{tool}");
            }
            let before = world.run_count();
            world.answers(tool, "two");
            fs::write(world.path(file), "somebody").unwrap();
            assert_eq!(ask().unwrap().secret(), token("two"), "{tool} {context:?}");
            assert_eq!(world.run_count(), before + 1);
        }
    }
}

#[test]
fn a_sign_out_drops_the_token() {
    let world = World::new();
    fs::write(world.path(".azure/azureProfile.json"), "somebody").unwrap();
    let credential = world.credential("az");
    get(&credential).unwrap();
    world.plays("az", "echo 'ERROR: Please run az login to setup account.' >&2; exit 1");
    fs::write(world.path(".azure/azureProfile.json"), "").unwrap();
    world.jump(1);
    let error = get(&credential).unwrap_err();
    assert!(error.to_string().contains("run `az login`"), "{error}");
    assert_eq!(world.run_count(), 2);
}

#[test]
fn a_refusal_is_remembered_no_longer_than_the_program_wants() {
    let world = World::new();
    world.plays("az", "echo 'ERROR: Please run az login to setup account.' >&2; exit 1");
    let credential = build!("az", &world.platform(), failure_memory(Duration::ZERO)).unwrap();
    for count in 1..=3 {
        get(&credential).unwrap_err();
        assert_eq!(world.run_count(), count);
    }
    let credential = world.credential("az");
    for _ in 0..3 {
        get(&credential).unwrap_err();
        assert_eq!(world.run_count(), 4);
        world.jump(20);
    }
    get(&credential).unwrap_err();
    assert_eq!(world.run_count(), 5);
}

#[test]
fn without_a_cache_another_account_counts_at_once() {
    each_tool(|tool| {
        let world = World::new();
        let credential = build!(tool, &world.platform(), no_cache()).unwrap();
        for account in ["one", "two", "three"] {
            world.answers(tool, account);
            assert_eq!(get(&credential).unwrap().secret(), token(account));
        }
        assert_eq!(world.run_count(), 3);
    });
}
