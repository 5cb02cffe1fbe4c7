use std::fmt;

use crate::bytes::wipe;

/// Text that must not be seen: a token, a key, an identity header.
///
/// The memory is wiped on drop. `Debug` prints `Secret(***)`; there is no `Display`, no comparison and no conversion
/// back to a plain string. Reading the text is spelt [`expose`](Self::expose), so that a search finds every reader.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of `text`; the caller's buffer becomes the secret's, nothing is copied.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(std::mem::take(&mut self.0).into_bytes());
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_text() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(***) Secret(***)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
