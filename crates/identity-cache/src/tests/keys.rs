//! Who shares a token with whom, and how many are kept.

use super::*;

#[test]
fn no_two_requests_that_differ_share_a_token() {
    let scopes: [&[&str]; 4] = [&["a"], &["b"], &["a", "b"], &["c"]];
    let world = World::new(|_, _| Ok(HOUR));
    let mut seen = HashMap::new();
    for round in 0..2 {
        for (i, scopes) in scopes.iter().enumerate() {
            for tenant in ["", "t1", "t2"] {
                for subject in ["", "s1", "t1"] {
                    for cae in [false, true] {
                        let token =
                            world.sim.run(world.cache.find(Lookup { tenant, subject, cae, ..lookup(scopes) })).unwrap();
                        let owner = seen.entry(token.secret().to_owned()).or_insert((i, tenant, subject, cae));
                        assert_eq!(*owner, (i, tenant, subject, cae), "round {round}");
                    }
                }
            }
        }
    }
    assert_eq!(world.service.count(), 4 * 3 * 3 * 2);
}

#[test]
fn the_order_of_scopes_makes_no_difference() {
    let world = World::new(|_, _| Ok(HOUR));
    for scopes in [["a", "b"], ["b", "a"]] {
        assert_eq!(world.sim.run(world.cache.find(lookup(&scopes))).unwrap().secret(), "a+b#1");
    }
}

#[test]
fn however_many_scopes_users_make_up_the_cache_stays_bounded_and_keeps_what_is_used() {
    let options = CacheOptions { capacity: 16, ..CacheOptions::default() };
    let world = World::with(options, None, 0, |_, _| Ok(HOUR));
    world.secret();
    for i in 0..10_000 {
        world.get(&format!("scope{i}")).unwrap();
        assert_eq!(world.at_once("a").as_deref(), Some("a#1"), "used all the time, so kept");
    }
    assert!(world.cache.remembered() <= 16);
    assert_eq!(world.at_once("scope0"), None);
}

#[test]
fn failures_are_bounded_too() {
    let options = CacheOptions { capacity: 16, ..CacheOptions::default() };
    let world = World::with(options, None, 0, |_, _| Err(refused()));
    for i in 0..1_000 {
        world.get(&format!("scope{i}")).unwrap_err();
    }
    assert!(world.cache.remembered() <= 16);
}

#[test]
fn a_thousand_scopes_at_once_all_get_their_token() {
    let world = World::new(|_, _| Ok(HOUR));
    let scopes: Vec<_> = (0..1_000).map(|i| format!("scope{i}")).collect();
    let asked: Vec<_> = scopes.iter().map(|scope| [scope.as_str()]).collect();
    let results = world.sim.run(join_all(asked.iter().map(|scopes| world.cache.find(lookup(scopes)))));
    for (scope, result) in scopes.iter().zip(results) {
        assert!(result.unwrap().secret().starts_with(&format!("{scope}#")));
    }
    world.secret();
    assert!(world.cache.remembered() <= 256);
}
