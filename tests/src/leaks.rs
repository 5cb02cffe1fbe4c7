//! The search for secrets where none belongs.

use std::{
    error::Error,
    fmt::{Debug, Display, Write as _},
};

/// Everything that an error can show: both forms of `Debug`, `Display`, and the same of every cause.
#[must_use]
pub fn shown(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        write_all(&mut text, error);
        next = error.source();
    }
    text
}

fn write_all<T: Debug + Display + ?Sized>(text: &mut String, value: &T) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{value}\n{value:?}\n{value:#?}");
}

/// The first secret that occurs in `text`: as it is, percent-encoded, in hexadecimal digits or escaped by `Debug`.
#[must_use]
pub fn find_secret<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    secrets.into_iter().find(|secret| {
        let escaped = format!("{secret:?}");
        let forms = [
            (*secret).to_owned(),
            identity_core::text::percent_encode(secret),
            identity_core::text::hex(secret.as_bytes()),
            escaped.trim_matches('"').to_owned(),
            // As `Debug` prints a buffer of bytes.
            format!("{:?}", secret.as_bytes()).trim_matches(['[', ']']).to_owned(),
        ];
        !secret.is_empty() && forms.iter().any(|form| text.contains(form.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_in_every_spelling() {
        for text in [
            "a hush\n! b",
            "a%20hush%0A%21",
            "68757368",
            r#""hush\n!""#,
            "x: [104, 117, 115, 104, 10, 33], y",
            "[1, 104, 117, 115, 104, 10, 33]",
        ] {
            let found = find_secret(text, ["other", "hush\n!", "hush"]);
            assert!(found.is_some(), "{text}");
        }
        assert_eq!(find_secret("nothing here", ["hush", ""]), None);
    }

    #[test]
    fn causes_are_shown_too() {
        let error = identity_core::Error::new(identity_core::ErrorKind::Protocol, "outer")
            .with_source(std::io::Error::other("inner"));
        let text = shown(&error);
        assert!(text.contains("outer") && text.contains("inner") && text.contains("Protocol"));
    }
}
