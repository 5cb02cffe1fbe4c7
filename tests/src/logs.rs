//! What is logged, at every level.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tracing::{Level, Subscriber};
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

/// Lines that a subscriber such as users have writes: events, spans, and their fields.
#[derive(Clone, Debug, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// Runs `work` and captures what this thread logs meanwhile.
    pub fn of<T>(work: impl FnOnce() -> T) -> (T, String) {
        let logs = Self::default();
        let value = tracing::subscriber::with_default(logs.subscriber(), work);
        (value, logs.text())
    }

    /// Captures what all threads of this process log from now on; the same for every caller.
    ///
    /// # Panics
    ///
    /// If something else captures it already.
    #[expect(clippy::expect_used, reason = "a test that cannot see the log shows nothing")]
    pub fn of_process() -> &'static Self {
        static LOGS: OnceLock<Logs> = OnceLock::new();
        LOGS.get_or_init(|| {
            let logs = Self::default();
            tracing::subscriber::set_global_default(logs.subscriber()).expect("no other subscriber is set");
            logs
        })
    }

    /// Everything so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish()
    }
}

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_and_every_field_is_captured() {
        let ((), text) = Logs::of(|| {
            let _span = tracing::trace_span!("outer", field = "in-span").entered();
            tracing::trace!(other = ?["in-event"], "said");
        });
        for word in ["outer", "in-span", "in-event", "said"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}
