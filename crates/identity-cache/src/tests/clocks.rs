//! Clocks that jump, stop or were wrong from the start.

use super::*;

#[test]
fn a_wall_clock_that_jumps_forward_past_the_expiry_costs_one_request() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.clock.jump_wall(10 * 365 * 86_400);
    for _ in 0..100 {
        assert_eq!(world.secret(), "a#2");
    }
    assert_eq!(world.service.count(), 2);
}

#[test]
fn a_wall_clock_that_jumps_back_keeps_no_token_alive() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.clock.jump_wall(-10 * 365 * 86_400);
    assert_eq!(world.secret(), "a#1");
    world.advance(3_600);
    assert_eq!(world.secret(), "a#2");
    assert_eq!(world.secret(), "a#2");
    assert_eq!(world.service.count(), 2);
}

#[test]
fn a_machine_that_slept_asks_anew() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    // The monotonic clock stands still during sleep.
    world.clock.jump_wall(8 * 3_600);
    assert_eq!(world.secret(), "a#2");
}

#[test]
fn a_clock_near_the_end_of_time_does_not_panic() {
    let world = World::new(|_, _| Ok(Duration::MAX));
    let token = world.get("a").unwrap();
    assert_eq!(world.secret(), "a#1");
    assert!(token.expires_on() >= std::time::UNIX_EPOCH);
}
