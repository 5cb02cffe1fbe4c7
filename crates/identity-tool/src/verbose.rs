//! `--verbose`: what the crates of this project log, as lines on standard error.

use std::{
    fmt::{Debug, Write as _},
    time::Instant,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

use crate::screen::{self, Paint};

/// Starts to show events from debug level on.
pub(crate) fn start() {
    // It fails only if it was done before.
    let _ = tracing::subscriber::set_global_default(Lines { start: Instant::now(), paint: Paint::stderr() });
}

/// Writes one line for each event. Spans are not shown.
struct Lines {
    start: Instant,
    paint: Paint,
}

impl Subscriber for Lines {
    /// Other people's crates may log what we would not. Of failures, a chain repeats what its credentials log and what is
    /// printed as the error.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = *metadata.level();
        let is_told = level != Level::INFO && metadata.target().starts_with("identity_chain");
        level <= Level::DEBUG && is_ours(metadata.target()) && !is_told
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let stamp = format!("{:7.3} s", self.start.elapsed().as_secs_f64());
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let stamp = self.paint.dim(&stamp);
        screen::tell(&format!(
            "{stamp}  {level:5}  {}{}\n",
            screen::escape(&parts.message),
            screen::escape(&parts.fields)
        ));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The crates whose names begin with `identity`.
fn is_ours(target: &str) -> bool {
    target.split("::").next().is_some_and(|name| name == "identity" || name.starts_with("identity_"))
}

#[derive(Default)]
struct Parts {
    message: String,
    fields: String,
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // A message of several lines stays one line of the log.
        let value = format!("{value:?}").replace('\n', " | ");
        match field.name() {
            "message" => self.message = value,
            name => drop(write!(self.fields, "  {name}={value}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crates_of_this_project_are_heard() {
        for (target, expected) in [
            ("identity", true),
            ("identity_msi::fetch", true),
            ("identity_chain", true),
            ("identityx", false),
            ("hyper::proto", false),
            ("", false),
        ] {
            assert_eq!(is_ours(target), expected, "{target}");
        }
    }
}
