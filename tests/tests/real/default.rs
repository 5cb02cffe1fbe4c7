//! Environments of the conformance cases, for real: the emulator in place of answers, programs in place of tools. The default
//! chain of the official SDK for Python and ours choose the same identity there, but for what a case lists with its reason.
//!
//! The test starts itself again in a network of its own, where IMDS has its real address, nobody else answers there, and the
//! emulator can be at port 443, at which MSAL for Python asks who knows a password. That takes root, or a system that lets users
//! have namespaces.

mod ours;
mod row;
mod world;

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use identity_tests::skip;
use serde::Deserialize;
use serde_json::Map;

use self::{
    row::{Differs, Listed, Real, Row, Tools},
    world::{Python, Sdk, World},
};
use crate::{
    installed::{path, scripts},
    network::{is_inside, pass_in_own},
};

/// How many environments there are, so that none gets lost.
const ROWS: usize = 92;
/// In how many of them both choose the same.
const SAME: usize = 84;
/// In how many of them somebody has a token, and in how many nothing is built.
const WINNERS: usize = 62;
const NOT_BUILT: usize = 11;

/// What a default chain comes to.
#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Outcome {
    built: bool,
    /// The name of the credential that had a token.
    winner: Option<String>,
    /// Whose token it is.
    #[serde(default)]
    identity: Option<String>,
    /// Who was tried in vain, if nobody had a token.
    attempts: Vec<String>,
    /// Whether a failure kept others from being tried.
    stopped: bool,
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn python_and_ours_choose_the_same_identity() {
    let name = "DefaultAzureCredential for Python";
    let Some(_) = path("REAL_PYTHON", "azure-identity for Python") else { return };
    if pass_in_own(name, NETWORK, INSIDE) {
        println!("default chains: {ROWS} environments, the same identity in {SAME}");
    }
}

/// Not a test by itself: it does nothing elsewhere.
#[test]
#[ignore = "only another test starts it, in a network of its own"]
fn inside() {
    if !is_inside(INSIDE) {
        return;
    }
    let python = path("REAL_PYTHON", "azure-identity for Python").unwrap();
    let mut rows = row::all();
    let total = rows.len();
    let without_arc = rows.iter().position(Row::is_arc).filter(|_| !world::can_play_arc());
    if let Some(at) = without_arc {
        skip("Azure Arc with the default chain of Python", "the folder of its keys cannot be written; run as root");
        rows.remove(at);
    }
    let world = World::new();
    let problems = Mutex::new(Vec::new());
    let (same, winners, not_built) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let judge = |row: &Row, python: &mut Python| {
        let (theirs, ours) = world.outcomes(row, python);
        same.fetch_add(usize::from(theirs.outcome == ours.outcome), Ordering::Relaxed);
        winners.fetch_add(usize::from(ours.outcome.winner.is_some()), Ordering::Relaxed);
        not_built.fetch_add(usize::from(!ours.outcome.built), Ordering::Relaxed);
        if let Err(problem) = compare(row, &theirs, &ours) {
            problems.lock().unwrap().push(format!("{}: {problem}", row.name));
        }
    };
    // What needs an address that there is once comes later, one by one.
    let (alone, together): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(Row::is_alone);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let mut python = Python::start(&python);
                while let Some(row) = together.get(next.fetch_add(1, Ordering::Relaxed)) {
                    judge(row, &mut python);
                }
            });
        }
    });
    let mut python = Python::start(&python);
    alone.iter().for_each(|row| judge(row, &mut python));
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{} of {total} environments:\n{}", problems.len(), problems.join("\n"));
    let missing = usize::from(without_arc.is_some());
    let came = (total, same.into_inner() + missing, winners.into_inner() + missing, not_built.into_inner());
    assert_eq!(came, (ROWS, SAME, WINNERS, NOT_BUILT), "environments, same, winners, not built");
}

#[test]
fn what_differs_and_is_not_listed_is_noticed_and_what_is_listed_and_does_not_differ() {
    let outcome = |winner: &str| Outcome {
        built: true,
        winner: Some(winner.to_owned()),
        identity: Some(format!("the account of {winner}")),
        attempts: Vec::new(),
        stopped: false,
    };
    let sdk = |outcome: &Outcome| Sdk { outcome: outcome.clone(), why: String::new() };
    let one = outcome("One");
    let row = |python: Option<Listed>, why: &str| Row {
        name: String::new(),
        variables: BTreeMap::default(),
        tools: Tools::default(),
        options: Map::default(),
        real: Real { differs: python.map(|python| Differs { why: why.to_owned(), python }), ..Real::default() },
        expected: Outcome { identity: None, ..one.clone() },
    };
    let judge = |row: &Row, theirs: &Outcome, ours: &Outcome| match compare(row, &sdk(theirs), &sdk(ours)) {
        Ok(()) => "fine".to_owned(),
        Err(problem) => problem.lines().next().unwrap_or_default().to_owned(),
    };
    let (other, stopped) = (outcome("Other"), Outcome { stopped: true, ..one.clone() });
    let of_other = Outcome { identity: other.identity.clone(), ..one.clone() };
    let none = Outcome { identity: None, ..one.clone() };
    let plain = row(None, "");
    assert_eq!(judge(&plain, &one, &one), "fine");
    assert_eq!(judge(&plain, &other, &one), "they differ");
    assert_eq!(judge(&plain, &of_other, &one), "they differ");
    assert_eq!(judge(&plain, &stopped, &one), "they differ");
    assert!(judge(&plain, &other, &other).starts_with("ours is not as the case says"));
    assert_eq!(judge(&plain, &none, &none), "the token has no claims");
    let listed = Listed { winner: Some("Other".to_owned()), ..Listed::default() };
    let listed = |why| row(Some(listed.clone()), why);
    let why = "FIX 0: a reason that is long enough";
    assert_eq!(judge(&listed(why), &other, &one), "fine");
    assert_eq!(judge(&listed(why), &stopped, &one), "they differ in another way than listed");
    assert!(judge(&listed(why), &one, &one).starts_with("they do not differ"));
    assert!(judge(&listed("FIX 0"), &other, &one).starts_with("they do not differ, or nobody says why"));
}

#[test]
fn every_difference_is_told_in_the_readme() {
    let readme = fs::read_to_string(scripts().join("README.md")).unwrap();
    assert!(readme.contains(&format!("In {SAME} of {ROWS} ")));
    let rows = row::all();
    assert_eq!(rows.len(), ROWS);
    let listed: Vec<&Row> = rows.iter().filter(|row| row.real.differs.is_some()).collect();
    assert_eq!(listed.len(), ROWS - SAME);
    for row in listed {
        assert!(readme.contains(&format!("`{}`", row.name)), "{} is not told", row.name);
    }
}

/// Compares ours with the case, and theirs with ours but for what is listed.
fn compare(row: &Row, theirs: &Sdk, ours: &Sdk) -> Result<(), String> {
    let says = |who: &str, sdk: &Sdk| format!("{who} {:?}\n    {}", sdk.outcome, sdk.why.replace('\n', "\n    "));
    let both = || format!("\n  {}\n  {}", says("Python", theirs), says("ours", ours));
    let expected = Outcome { identity: ours.outcome.identity.clone(), ..row.expected.clone() };
    if ours.outcome != expected {
        return Err(format!("ours is not as the case says, {expected:?}{}", both()));
    }
    if ours.outcome.winner.is_some() && ours.outcome.identity.is_none() {
        return Err(format!("the token has no claims{}", both()));
    }
    let Some(Differs { why, python }) = &row.real.differs else {
        return if theirs.outcome == ours.outcome { Ok(()) } else { Err(format!("they differ{}", both())) };
    };
    if why.len() < 20 || theirs.outcome == ours.outcome {
        return Err(format!("they do not differ, or nobody says why: {why:?}{}", both()));
    }
    let listed = python.over(&ours.outcome, &theirs.outcome);
    if theirs.outcome == listed { Ok(()) } else { Err(format!("they differ in another way than listed{}", both())) }
}

const NETWORK: &str = "ip link set lo up && ip address add 169.254.169.254/32 dev lo";
const INSIDE: &str = "default::inside";
/// How many environments are tried at a time.
const AT_ONCE: usize = 4;
