//! How runs end: of themselves, by their time, by what they write, or with whoever asked for them. Nothing of them stays.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use identity_core::{Error, ErrorKind};
use identity_tests::shown;
use tokio::task::JoinSet;

use crate::world::{
    GONE, HELD, PATIENCE, TOOLS, World, answer, ask, build, each_tool, get, is_zombie, runtime, says, token, wait_until,
};

/// Hangs, with a tree of three below it, one of which is deaf.
const TREE: &str = "sleep 77 & (trap '' TERM; sleep 77; true) & sh -c 'sleep 77; true' & wait";
/// The stand-in, its three children, and two children of those.
const TREE_SIZE: usize = 6;

#[test]
fn the_time_of_a_run_is_ten_seconds() {
    let world = World::new();
    for tool in TOOLS {
        let shown = format!("{:?}", world.credential(tool));
        assert!(shown.contains("process_timeout: 10s"), "{shown}");
    }
}

/// Asks with more and more time, until the stand-in has come to the point of its play before its time was over: a machine
/// that has much to do may need it to start a few processes. Says how it ended, and what its time was.
fn run_out_of_time(world: &World, tool: &str, is_there: impl Fn() -> bool) -> (Error, Duration) {
    for millis in [300, 1_200, 5_000, 20_000] {
        let time = Duration::from_millis(millis);
        let credential = build!(tool, &world.platform(), process_timeout(time)).unwrap();
        let (error, was_there) = runtime().block_on(async {
            let (asking, start) = (tokio::spawn(ask(&credential)), Instant::now());
            let mut was_there = false;
            while !asking.is_finished() {
                was_there |= is_there();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            // Half a second to end by itself, and what a machine with much to do may need.
            assert!(start.elapsed() < time + Duration::from_millis(2_500), "{tool}: {:?}", start.elapsed());
            (asking.await.unwrap().unwrap_err(), was_there)
        });
        world.wait_for(0, GONE);
        if was_there {
            return (error, time);
        }
    }
    panic!("{tool} did not come to it");
}

#[test]
fn what_hangs_is_ended_with_all_that_it_started() {
    each_tool(|tool| {
        let world = World::new();
        world.plays(tool, TREE);
        let (error, time) = run_out_of_time(&world, tool, || world.alive().len() == TREE_SIZE);
        assert_eq!(error.kind(), ErrorKind::Transport);
        let message = error.to_string();
        for part in [&format!("was not done within {time:?} and was ended"), "process_timeout", "run `"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(shown(&error).contains("it was not done in time"), "{error:?}");
    });
}

#[test]
fn who_does_not_listen_is_killed_half_a_second_later() {
    each_tool(|tool| {
        let world = World::new();
        world.plays(tool, "trap '' TERM; : >\"$world/deaf\"; while :; do sleep 0.1; done");
        let start = Instant::now();
        let (error, time) = run_out_of_time(&world, tool, || world.path("deaf").exists());
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert!(start.elapsed() >= time + Duration::from_millis(500), "{:?}", start.elapsed());
    });
}

#[test]
fn who_listens_may_clean_up() {
    let world = World::new();
    world.plays("az", "trap ': >\"$world/cleaned\"; exit 1' TERM; : >\"$world/there\"; sleep 77 & wait");
    let (error, _) = run_out_of_time(&world, "az", || world.path("there").exists());
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(world.path("cleaned").exists());
}

#[test]
fn a_caller_who_goes_takes_the_whole_tree_along() {
    each_tool(|tool| {
        let world = World::new();
        world.plays(tool, &format!("trap '' TERM\n{TREE}"));
        let caches = [build!(tool, &world.platform()), build!(tool, &world.platform(), no_cache())];
        for credential in caches.map(Result::unwrap) {
            runtime().block_on(async {
                let asking = tokio::spawn(ask(&credential));
                world.see(TREE_SIZE, PATIENCE).await;
                asking.abort();
                world.see(0, GONE).await;
                // The one that is ours to collect is collected, too.
                let pid = world.runs().last().unwrap().pid;
                let start = Instant::now();
                while is_zombie(pid) {
                    assert!(start.elapsed() < GONE);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }
        // And it works for those who come next.
        world.answers(tool, "two");
        assert_eq!(get(&world.credential(tool)).unwrap().secret(), token("two"));
        assert_eq!(world.run_count(), 3);
    });
}

#[test]
fn a_call_that_is_given_up_ends_its_tool_on_a_runtime_that_nobody_drives() {
    let idle = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    each_tool(|tool| {
        let world = World::new();
        world.plays(tool, &format!("trap '' TERM\n{TREE}"));
        let (runtime, credential) = (idle(), world.credential(tool));
        runtime.block_on(async {
            let mut asking = Box::pin(ask(&credential));
            let mut seen = Box::pin(world.see(TREE_SIZE, PATIENCE));
            std::future::poll_fn(|cx| {
                assert!(asking.as_mut().poll(cx).is_pending(), "it hangs");
                seen.as_mut().poll(cx)
            })
            .await;
        });
        world.wait_for(0, GONE);
        drop(runtime);
    });
}

#[test]
fn a_run_goes_on_for_those_who_stay_and_ends_with_the_last() {
    each_tool(|tool| {
        let world = World::new();
        world.plays(tool, &format!("{HELD}{}", says(&answer(tool, "one"))));
        let credential = world.credential(tool);
        runtime().block_on(async {
            // The one who started it goes, and so do most of the others.
            let first = tokio::spawn(ask(&credential));
            while world.run_count() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let mut others: JoinSet<_> = (0..20).map(|_| ask(&credential)).collect();
            let mut last = Box::pin(ask(&credential));
            assert!(tokio::time::timeout(Duration::from_millis(1), &mut last).await.is_err());
            first.abort();
            assert!(first.await.unwrap_err().is_cancelled());
            others.shutdown().await;
            let pid = world.runs()[0].pid;
            assert!(tokio::time::timeout(Duration::from_millis(100), &mut last).await.is_err());
            assert!(world.alive().contains(&pid), "{pid} was ended, and somebody waited for it");
            world.release();
            assert_eq!(last.await.unwrap().secret(), token("one"));
            assert_eq!(world.run_count(), 1);

            // Of those who wait for another scope all go.
            fs::remove_file(world.path("go")).unwrap();
            world.plays(tool, TREE);
            let mut all = JoinSet::new();
            for _ in 0..20 {
                let credential = Arc::clone(&credential);
                all.spawn(async move { credential.get_token(&["https://other.example/.default"], None).await });
            }
            world.see(TREE_SIZE, PATIENCE).await;
            all.shutdown().await;
            world.see(0, GONE).await;
            assert_eq!(world.run_count(), 2);
        });
    });
}

#[test]
fn a_grandchild_that_holds_the_outputs_is_not_waited_for() {
    each_tool(|tool| {
        let world = World::new();
        // The time of its end, as the grandchild would have it.
        world.plays(tool, &format!("sleep 77 & {}", says(&answer(tool, "one"))));
        let credential = world.credential(tool);
        runtime().block_on(async {
            let asking = tokio::spawn(ask(&credential));
            while world.run_count() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let start = Instant::now();
            assert_eq!(asking.await.unwrap().unwrap().secret(), token("one"));
            // Half a second is what it may hold them; the rest is for a machine that has much to do.
            assert!(start.elapsed() < GONE + Duration::from_secs(1), "{:?}", start.elapsed());
            world.see(0, GONE).await;
        });
    });
}

#[test]
fn a_flood_ends_the_run() {
    each_tool(|tool| {
        for (to, name) in [("", "standard output"), (" >&2", "standard error")] {
            let world = World::new();
            world.plays(tool, &format!("trap '' PIPE TERM; yes 'no {JWT_CUT}'{to} & yes no{to}; wait"));
            let error = get(&world.credential(tool)).unwrap_err();
            world.wait_for(0, GONE);
            assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
            assert!(shown(&error).contains(name), "{error:?}");
            assert!(!shown(&error).contains("no eyJ"), "{error:?}");
            assert_eq!(world.run_count(), 1);
        }
    });
}

/// What floods may consist of.
const JWT_CUT: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJ";

#[test]
fn both_outputs_are_read_while_both_are_written() {
    each_tool(|tool| {
        let world = World::new();
        // A pipe holds 64 KiB: whoever reads one to its end before the other waits for ever.
        let blanks = |bytes: u32, to: &str| format!("head -c {bytes} /dev/zero | tr '\\0' ' '{to}");
        let play = format!(
            "({}) & {}; {}; wait; {}",
            blanks(60_000, " >&2"),
            says(&answer(tool, "one")),
            blanks(1_000_000, ""),
            blanks(5_000, " >&2")
        );
        world.plays(tool, &play);
        assert_eq!(get(&world.credential(tool)).unwrap().secret(), token("one"), "{tool}");
    });
}

#[test]
fn there_is_nothing_to_read_and_the_working_directory_is_none_of_ours() {
    each_tool(|tool| {
        let world = World::new();
        let play = "if read -r line; then exit 9; fi; readlink /proc/$$/fd/0 >\"$world/stdin\"\n";
        world.plays(tool, &format!("{play}{}", says(&answer(tool, "one"))));
        assert_eq!(get(&world.credential(tool)).unwrap().secret(), token("one"));
        assert_eq!(fs::read_to_string(world.path("stdin")).unwrap().trim(), "/dev/null");
        let run = &world.runs()[0];
        assert_eq!(run.tool, tool);
        assert_eq!(Path::new(&run.directory), fs::canonicalize("/bin").unwrap());
    });
    let world = World::new();
    get(&world.credential("azd")).unwrap();
    assert!(world.runs()[0].args.contains(&"--no-prompt".to_owned()));
}

#[test]
fn a_runtime_that_ends_leaves_no_process_and_the_next_one_works() {
    each_tool(|tool| {
        let world = World::new();
        world.plays(tool, TREE);
        let credential = world.credential(tool);
        for in_background in [true, false] {
            let first = runtime();
            let asking = first.spawn(ask(&credential));
            world.wait_for(TREE_SIZE, PATIENCE);
            if in_background {
                first.shutdown_background()
            } else {
                drop(first)
            }
            world.wait_for(0, GONE);
            assert!(runtime().block_on(asking).unwrap_err().is_cancelled());
        }
        world.answers(tool, "two");
        assert_eq!(get(&credential).unwrap().secret(), token("two"));
        assert_eq!(get(&credential).unwrap().secret(), token("two"));
        assert_eq!(world.run_count(), 3);
    });
}

#[test]
fn two_runtimes_ask_at_the_same_time_and_one_may_end() {
    each_tool(|tool| {
        let world = World::new();
        world.plays(tool, &format!("{HELD}{}", says(&answer(tool, "one"))));
        let credential = world.credential(tool);
        let (first, second) = (runtime(), runtime());
        let theirs = first.spawn(ask(&credential));
        world.wait_for_runs(1);
        let ours = second.spawn(ask(&credential));
        world.wait_for_runs(2);
        let pids: Vec<u32> = world.runs().iter().map(|run| run.pid).collect();
        first.shutdown_background();
        wait_until(GONE, &|| format!("{pids:?}"), || !world.alive().contains(&pids[0]));
        assert!(world.alive().contains(&pids[1]), "the other runtime's was ended");
        world.release();
        assert_eq!(second.block_on(ours).unwrap().unwrap().secret(), token("one"));
        assert!(second.block_on(theirs).unwrap_err().is_cancelled());
        assert_eq!(world.run_count(), 2);
    });
}

#[test]
fn a_token_that_is_there_is_served_while_the_tool_misbehaves() {
    each_tool(|tool| {
        for play in [TREE, "yes no", "sleep 77 & exit 3"] {
            let world = World::new();
            let credential = build!(tool, &world.platform(), process_timeout(Duration::from_secs(1))).unwrap();
            runtime().block_on(async {
                assert_eq!(ask(&credential).await.unwrap().secret(), token("one"));
                world.plays(tool, play);
                // Six and a half days of the seven that are believed: a new one is wanted, and nobody waits for it.
                world.jump(6 * 86_400 + 43_200);
                let start = Instant::now();
                for _ in 0..20 {
                    assert_eq!(ask(&credential).await.unwrap().secret(), token("one"), "{play}");
                }
                assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
                while world.run_count() < 2 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                world.see(0, PATIENCE).await;
                assert_eq!(ask(&credential).await.unwrap().secret(), token("one"), "{play}");
            });
            assert_eq!(world.run_count(), 2, "{play}");
        }
    });
}
