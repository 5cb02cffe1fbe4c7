//! Which program is run, and what it means that there is none, or none that can be run.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use identity_core::{
    ErrorKind::{self, CredentialUnavailable, Protocol, Transport},
    TokenRequestOptions,
};
use identity_tests::shown;

use crate::world::{CONTEXTS, GONE, World, build, each_tool, get, get_with, token, write_program};

/// What is wrong with a tool that is at `file` of a world.
type Fault = fn(&World, &str, &Path);

/// The kind of error for a caller on its own and in a chain; the default chain goes on after all of them.
const FAULTS: [(&str, Fault, ErrorKind, &str); 11] = [
    ("it hangs", |world, tool, _| world.plays(tool, "sleep 77 & sleep 77"), Transport, "was not done within"),
    ("it floods its output", |world, tool, _| world.plays(tool, "yes no"), Protocol, "wrote more than any answer has"),
    (
        "it floods its errors",
        |world, tool, _| world.plays(tool, "yes no >&2"),
        Protocol,
        "wrote more than any answer has",
    ),
    ("it is killed", |world, tool, _| world.plays(tool, "kill -SEGV $$"), Transport, "it was killed; try again"),
    (
        "there is none",
        |_, _, file| fs::remove_file(file).unwrap(),
        CredentialUnavailable,
        "is not on the PATH; install",
    ),
    (
        "it may not be run",
        |_, _, file| {
            write_program(file, "#!/bin/sh\n");
            fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        },
        CredentialUnavailable,
        "is not on the PATH; install",
    ),
    (
        "it is a folder",
        |_, _, file| {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        },
        CredentialUnavailable,
        "is not on the PATH; install",
    ),
    (
        "it leads nowhere",
        |_, _, file| {
            fs::remove_file(file).unwrap();
            std::os::unix::fs::symlink("nowhere", file).unwrap();
        },
        CredentialUnavailable,
        "is not on the PATH; install",
    ),
    (
        "its interpreter may not be run",
        |_, _, file| write_program(file, "#!/etc/passwd\n"),
        CredentialUnavailable,
        "is there and cannot be started; run `",
    ),
    (
        "its interpreter is gone",
        |_, _, file| write_program(file, "#!/nonexistent/python\n"),
        CredentialUnavailable,
        "is there and cannot be started; run `",
    ),
    (
        "it is empty",
        |_, _, file| write_program(file, ""),
        CredentialUnavailable,
        "is there and cannot be started; run `",
    ),
];

#[test]
fn every_fault_has_its_kind_alone_and_in_chains() {
    each_tool(|tool| {
        for (what, fault, kind, words) in FAULTS {
            let world = World::new();
            let file = world.path("bin").join(tool);
            fault(&world, tool, &file);
            for (context, kind) in CONTEXTS.into_iter().zip([kind, kind, CredentialUnavailable]) {
                let seconds = if what == "it hangs" { 0.3 } else { 30.0 };
                let time = Duration::from_secs_f64(seconds);
                let credential = build!(tool, &world.platform(), process_timeout(time)).unwrap();
                let options = TokenRequestOptions::new().with_context(context);
                let error = get_with(&credential, &options).unwrap_err();
                assert_eq!(error.kind(), kind, "{tool}: {what}, {context:?}: {}", shown(&error));
                assert!(error.to_string().contains(words), "{tool}: {what}: {error}");
                assert_eq!(error.credential(), credential.name());
                if words.contains("cannot be started") {
                    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
                    assert!(shown(&error).contains("it cannot be started: "), "{error:?}");
                }
            }
            world.wait_for(0, GONE);
        }
    });
}

#[test]
fn a_program_that_is_none_does_not_hide_the_next_one() {
    each_tool(|tool| {
        let world = World::new();
        fs::create_dir_all(world.path("folder").join(tool)).unwrap();
        fs::create_dir(world.path("nowhere")).unwrap();
        std::os::unix::fs::symlink("nothing", world.path("nowhere").join(tool)).unwrap();
        fs::create_dir(world.path("text")).unwrap();
        fs::write(world.path("text").join(tool), "#!/bin/sh\necho planted\n").unwrap();
        let path = ["folder", "nowhere", "text", "missing", "bin"].map(|name| world.path(name).display().to_string());
        let platform = world.platform_with(&[("PATH", &path.join(":"))]);
        assert_eq!(get(&build!(tool, &platform).unwrap()).unwrap().secret(), token("one"));
        assert_eq!(world.run_count(), 1);
    });
}

#[test]
fn a_tool_that_is_installed_later_is_found() {
    each_tool(|tool| {
        let world = World::new();
        let later = world.path("later").display().to_string();
        let credential = build!(tool, &world.platform_with(&[("PATH", &later)])).unwrap();
        assert_eq!(get(&credential).unwrap_err().kind(), CredentialUnavailable);
        world.install("later", tool);
        assert_eq!(get(&credential).unwrap().secret(), token("one"));
    });
}

#[test]
fn links_to_programs_and_to_folders_are_followed() {
    each_tool(|tool| {
        let world = World::new();
        std::os::unix::fs::symlink("bin", world.path("link")).unwrap();
        let path = world.path("link").display().to_string();
        let credential = build!(tool, &world.platform_with(&[("PATH", &path)])).unwrap();
        assert_eq!(get(&credential).unwrap().secret(), token("one"));
        assert_eq!(world.run_count(), 1);
    });
}

#[test]
fn no_path_is_no_program() {
    each_tool(|tool| {
        let world = World::new();
        let credential = build!(tool, &world.platform_with(&[("PATH", "")])).unwrap();
        assert_eq!(get(&credential).unwrap_err().kind(), CredentialUnavailable);
        assert_eq!(world.run_count(), 0);
    });
}
