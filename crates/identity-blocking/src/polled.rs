//! Whether tokio would be stopped by waiting here.

use std::task::{Context, Poll, Waker};

use tokio::task::coop;

/// Whether tokio is polling something on this thread: a task, or what `block_on` was given.
///
/// tokio tells it nowhere but in this: whatever it polls has a budget, and nothing else has. `spawn_blocking`,
/// `block_in_place` and a guard of `Handle::enter` have none, and neither has `coop::unconstrained`. So the budget is used up,
/// or it turns out that there is none, and is then given back as it was.
pub(crate) fn is_polled() -> bool {
    if !coop::has_budget_remaining() {
        return true;
    }
    // tokio does not keep the waker where there is something left, and so not this one.
    let mut context = Context::from_waker(Waker::noop());
    // Dropping it makes the budget what it was before, whatever happened to it in between.
    let Poll::Ready(_before) = coop::poll_proceed(&mut context) else { return true };
    for _ in 0..LARGEST_BUDGET {
        if !coop::has_budget_remaining() {
            return true;
        }
        match coop::poll_proceed(&mut context) {
            Poll::Ready(one) => one.made_progress(),
            Poll::Pending => return true,
        }
    }
    false
}

/// More than tokio gives to anything it polls, which is 128.
///
/// Source: tokio 1.49 to 1.54, `task/coop/mod.rs`: `Budget::initial()`, a `u8`.
const LARGEST_BUDGET: usize = 256;

#[cfg(test)]
mod tests {
    use tokio::{
        runtime::{Builder, Runtime},
        task::{self, LocalSet},
    };

    use super::*;

    fn runtimes() -> [Runtime; 2] {
        [Builder::new_current_thread(), Builder::new_multi_thread()].map(|mut builder| builder.build().unwrap())
    }

    /// How often something can still be done before it has to yield.
    fn budget() -> usize {
        let mut context = Context::from_waker(Waker::noop());
        let mut guards = Vec::new();
        while guards.len() < 1_000 && coop::has_budget_remaining() {
            let Poll::Ready(guard) = coop::poll_proceed(&mut context) else { break };
            guards.push(guard);
        }
        let count = guards.len();
        while guards.pop().is_some() {}
        count
    }

    #[test]
    fn a_thread_of_its_own_is_not_polled() {
        assert!(!is_polled());
        for runtime in runtimes() {
            assert!(!is_polled());
            let _entered = runtime.enter();
            assert!(!is_polled(), "entering is not polling");
        }
    }

    #[test]
    fn what_a_runtime_blocks_on_is_polled_and_so_is_a_task() {
        for runtime in runtimes() {
            assert!(runtime.block_on(async { is_polled() }));
            assert!(runtime.block_on(runtime.spawn(async { is_polled() })).unwrap());
            assert!(!is_polled(), "no longer");
        }
    }

    #[test]
    fn a_local_set_and_its_tasks_are_polled() {
        for runtime in runtimes() {
            let set = LocalSet::new();
            assert!(runtime.block_on(set.run_until(async { is_polled() })));
            let task = set.spawn_local(async { is_polled() });
            assert!(runtime.block_on(set.run_until(task)).unwrap());
            assert!(set.block_on(&runtime, async { is_polled() }));
        }
    }

    #[test]
    fn threads_that_may_block_are_not_polled() {
        for runtime in runtimes() {
            assert!(!runtime.block_on(runtime.spawn_blocking(is_polled)).unwrap());
        }
        let [_, threads] = runtimes();
        assert!(!threads.block_on(async { task::block_in_place(is_polled) }));
        assert!(!threads.block_on(threads.spawn(async { task::block_in_place(is_polled) })).unwrap());
    }

    #[test]
    fn blocking_on_a_thread_that_may_block_is_polled_again() {
        let [runtime, _] = runtimes();
        let handle = runtime.handle().clone();
        let nested = runtime.spawn_blocking(move || handle.block_on(async { is_polled() }));
        assert!(runtime.block_on(nested).unwrap());
    }

    #[test]
    fn who_has_opted_out_is_not_recognised() {
        for runtime in runtimes() {
            assert!(!runtime.block_on(coop::unconstrained(async { is_polled() })));
        }
    }

    #[test]
    fn the_budget_stays_as_it_was() {
        for runtime in runtimes() {
            runtime.block_on(async {
                let full = budget();
                assert!(full < LARGEST_BUDGET, "{full}");
                assert!(is_polled());
                assert_eq!(budget(), full);

                task::yield_now().await;
                for used in 1..=budget() {
                    let mut context = Context::from_waker(Waker::noop());
                    let Poll::Ready(one) = coop::poll_proceed(&mut context) else { panic!("{used} were left") };
                    one.made_progress();
                    let left = budget();
                    assert!(is_polled(), "{left} left");
                    assert_eq!(budget(), left);
                }
                assert_eq!(budget(), 0, "all of it was used");
            });
        }
    }
}
