//! One look at JSON before any parser sees it.

/// The deepest nesting that is accepted, arrays and objects together.
///
/// Source: our choice; answers of the token services nest three deep, claims about six.
pub const DEPTH_LIMIT: usize = 32;

/// Whether the text nests no deeper than [`DEPTH_LIMIT`]. One pass over the bytes, no recursion, no allocation; whether
/// it is JSON at all is left to the parser.
#[must_use]
pub fn is_shallow(text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => in_string = true,
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEPTH_LIMIT {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings_only() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_shallow(nested(DEPTH_LIMIT).as_bytes()));
        assert!(!is_shallow(nested(DEPTH_LIMIT + 1).as_bytes()));
        assert!(!is_shallow(format!(r#"{{"unknown":{}}}"#, nested(10_000)).as_bytes()));
        assert!(is_shallow(format!(r#"{{"text":"\"{}"}}"#, "[".repeat(10_000)).as_bytes()));
        assert!(is_shallow(b"}}}}]]]]{}"));
    }
}
