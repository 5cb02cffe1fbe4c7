//! What is logged while a token cannot be refreshed: enough to be noticed, and no more.

use tracing::{Event, Level, Metadata, Subscriber, field, span};

use super::*;

/// When something was logged that is worse than a remark, its level, and its fields.
type Told = Vec<(u64, Level, String)>;

struct Log {
    clock: FakeClock,
    told: Arc<Mutex<Told>>,
}

impl Log {
    fn of(world: &World, work: impl FnOnce()) -> Told {
        let told = Arc::<Mutex<Told>>::default();
        let log = Self { clock: world.clock.clone(), told: Arc::clone(&told) };
        tracing::subscriber::with_default(log, work);
        std::mem::take(&mut *told.lock().unwrap())
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Line(String);
        impl field::Visit for Line {
            fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
                self.0.push_str(&format!(" {field}={value:?}"));
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        let told = (self.clock.elapsed().as_secs(), *event.metadata().level(), line.0);
        self.told.lock().unwrap().push(told);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// A token of a day, refreshed at noon, whose refreshes fail until that many seconds have passed.
fn day(error: Error, until: u64) -> (World, Told) {
    let world = World::new(move |number, _| if number == 1 { Ok(DAY) } else { Err(error.clone()) });
    let told = Log::of(&world, || {
        world.secret();
        while world.clock.elapsed() < secs(until) {
            assert_eq!(world.at_once("a").as_deref(), Some("a#1"));
            world.pass(10);
        }
    });
    (world, told)
}

#[test]
fn a_refresh_that_is_refused_again_and_again_is_told_of_once() {
    let (world, told) = day(refused(), 86_300);
    assert!(world.service.count() > 40, "{:?}", world.service.times());
    let [(second, level, fields)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((second / 10, *level), (NOON / 10, Level::WARN));
    for word in ["credential=\"TestCredential\"", "scope=\"a\"", "left_secs=43199", "error=no", "cannot be refreshed"] {
        assert!(fields.contains(word), "{word}: {fields}");
    }
    assert!(!fields.contains("a#1"), "{fields}");
}

#[test]
fn a_service_that_is_down_is_told_of_when_a_half_and_four_fifths_of_the_rest_are_gone() {
    for error in [down(), Error::new(ErrorKind::Protocol, "down")] {
        let (_, told) = day(error, 2 * NOON - 40);
        let seconds: Vec<_> = told.iter().map(|(second, ..)| *second).collect();
        // Attempts are at most 5 min apart.
        assert_eq!(told.len(), 2, "{told:?}");
        assert!((NOON * 3 / 2..NOON * 3 / 2 + 310).contains(&seconds[0]), "{told:?}");
        assert!((NOON * 9 / 5..NOON * 9 / 5 + 310).contains(&seconds[1]), "{told:?}");
        for (second, level, fields) in &told {
            assert_eq!(*level, Level::WARN);
            let left = 2 * NOON - second;
            let is_left = [left, left - 1].iter().any(|left| fields.contains(&format!("left_secs={left} ")));
            assert!(is_left && fields.contains("error=down") && !fields.contains("a#1"), "{second} {fields}");
        }
    }
}

#[test]
fn a_token_of_an_hour_whose_service_is_down_is_told_of_twice_before_it_expires() {
    let world = World::new(|number, _| if number == 1 { Ok(HOUR) } else { Err(down()) });
    let told = Log::of(&world, || {
        world.secret();
        while world.clock.elapsed() < secs(3_599) {
            assert_eq!(world.secret(), "a#1");
            world.pass(1);
        }
    });
    let [(half, ..), (most, ..)] = told[..] else { panic!("{told:?}") };
    assert!((3_450..3_540).contains(&half) && (3_540..3_600).contains(&most), "{told:?}");
}

#[test]
fn a_new_token_starts_the_count_anew_and_one_that_is_refreshed_says_nothing() {
    // Every other attempt fails.
    let world = World::new(|number, _| if number % 2 == 1 { Ok(DAY) } else { Err(refused()) });
    let told = Log::of(&world, || {
        world.secret();
        for refusals in 1..=3 {
            world.pass(NOON);
            while world.service.count() < 2 * refusals + 1 {
                world.at_once("a").unwrap();
                world.pass(10);
            }
        }
    });
    assert_eq!(told.len(), 3, "{told:?}");
    let world = World::new(|_, _| Ok(DAY));
    let told = Log::of(&world, || {
        for _ in 0..100 {
            world.secret();
            world.pass(NOON / 10);
        }
    });
    assert!(told.is_empty() && world.service.count() > 5, "{told:?}");
}

const DAY: Duration = secs(2 * NOON);
const NOON: u64 = 43_200;
