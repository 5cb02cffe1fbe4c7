//! Every transcript once more, printed by a process that stands in for the tool.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
};

use identity_core::{AccessToken, CallContext, Result, TokenRequestOptions};

use crate::{
    transcripts::{TOKEN, Transcript, check, expected, read},
    world::{World, get_with, prints},
};

#[test]
fn every_transcript_comes_to_the_same_from_a_process() {
    let transcripts: Vec<(&str, Transcript)> = ["az", "azd", "powershell"]
        .into_iter()
        .flat_map(|tool| read(tool).into_iter().map(move |transcript| (tool, transcript)))
        // 9009 is a code of Windows: no process ends with it here.
        .filter(|(_, transcript)| transcript.exit_code.is_none_or(|code| code < 256))
        .collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let world = World::new();
                while let Some((tool, transcript)) = transcripts.get(next.fetch_add(1, SeqCst)) {
                    check(tool, transcript, expected(tool, transcript), &|transcript, context, wall| {
                        play(&world, tool, transcript, context, wall)
                    });
                }
            });
        }
    });
}

/// A stand-in prints the transcript, to a new credential.
fn play(
    world: &World,
    tool: &str,
    transcript: &Transcript,
    context: CallContext,
    wall: u64,
) -> (Result<AccessToken>, usize) {
    let program = if tool == "powershell" { "pwsh" } else { tool };
    let stdout = transcript.stdout.replace("<token>", TOKEN);
    world.plays(program, &prints(&stdout, &transcript.stderr, transcript.exit_code));
    world.jump_to(wall);
    let before = world.run_count();
    let options = TokenRequestOptions::new().with_context(context);
    let credential = world.credential(program);
    let result = get_with(&credential, &options);
    (result, world.run_count() - before)
}

/// Most of them wait most of the time.
const WORKERS: usize = 6;
