//! Takes out of texts what may be a secret.

use std::{error::Error as StdError, fmt};

use identity::{Env, Error, Secret};

use super::{
    address, kinds,
    report::{LONGEST, Network, Tool, cut},
    variables,
};

/// Values of variables that are not shown: nor are they where an error has them.
#[derive(Debug, Default)]
pub(super) struct Blanks(Vec<Secret>);

impl Blanks {
    /// Those of the variables that a diagnosis looks at.
    pub(super) fn new(env: &dyn Env) -> Self {
        let mut texts = Vec::new();
        for (name, kind) in variables::VARIABLES {
            let Some(value) = env.var_os(name).map(|value| value.to_string_lossy().into_owned()) else { continue };
            if kinds::show(kind, value.trim()).is_none() {
                add(&mut texts, &value);
            } else if matches!(kind, kinds::Kind::Url | kinds::Kind::Host | kinds::Kind::Proxy) {
                // Of these only the origin is shown.
                for part in address::user(&value).into_iter().flat_map(|user| [user, after_colon(user)]) {
                    add(&mut texts, part);
                }
                add(&mut texts, value.split_once('?').map_or("", |(_, query)| query));
            }
        }
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        Self(texts.into_iter().map(Secret::new).collect())
    }

    /// The text without them. What begins as a long one is taken out as well: libraries cut what they show.
    pub(super) fn apply(&self, text: &str) -> String {
        // First, for a short one may be a part of a long one that was cut.
        let mut text = self.without_starts(text);
        for secret in &self.0 {
            text = text.replace(secret.expose(), STARS);
        }
        // The lines of a key are one thing.
        for between in ["\n", "\r\n", "\\n", "\\u{a}"] {
            let twice = format!("{STARS}{between}{STARS}");
            while text.contains(&twice) {
                text = text.replace(&twice, STARS);
            }
        }
        text
    }

    /// The text without what begins as they do, as far as it is the same.
    fn without_starts(&self, text: &str) -> String {
        let starts = || {
            let all = self.0.iter().map(Secret::expose);
            all.filter_map(|secret| Some((secret, secret.get(..secret.char_indices().nth(START)?.0)?)))
        };
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = starts().filter_map(|(_, start)| rest.find(start)).min() {
            let (before, found) = rest.split_at(at);
            let same = |secret: &str| {
                let same = found.chars().zip(secret.chars()).take_while(|(one, other)| one == other);
                same.map(|(one, _)| one.len_utf8()).sum::<usize>()
            };
            let here = starts().filter(|(_, start)| found.starts_with(start));
            let length = here.map(|(secret, _)| same(secret)).max().unwrap_or_default();
            out.push_str(before);
            out.push_str(STARS);
            rest = found.get(length.max(1)..).unwrap_or_default();
        }
        out + rest
    }

    /// The error without them: its message, its steps, its causes and what it consists of.
    pub(super) fn error(&self, error: &Error) -> Error {
        let scopes: Vec<String> = error.scopes().iter().map(|scope| self.apply(scope)).collect();
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let claims = error.claims().map(|claims| self.apply(claims));
        let id = |id: Option<&str>| id.map(|id| self.apply(id));
        let blank = error
            .clone()
            .with_message(self.apply(&error.to_string()))
            .with_steps(error.steps().iter().map(|step| self.apply(step)).collect())
            .with_ids(id(error.correlation_id()), id(error.trace_id()))
            .with_scopes(&scopes, claims.as_deref())
            .with_attempts(error.attempts().iter().map(|attempt| self.error(attempt)).collect());
        match error.source().and_then(|source| self.cause(source, CAUSES)) {
            Some(cause) => blank.with_source(cause),
            None => blank,
        }
    }

    fn cause(&self, source: &(dyn StdError + 'static), left: usize) -> Option<Cause> {
        let left = left.checked_sub(1)?;
        let source_of = source.source().and_then(|source| self.cause(source, left)).map(Box::new);
        Some(Cause { text: self.apply(&source.to_string()), source: source_of })
    }

    pub(super) fn tools(&self, tools: Vec<Tool>) -> Vec<Tool> {
        let blank = |trouble: String| cut(&self.apply(&trouble), LONGEST);
        tools.into_iter().map(|tool| Tool { version: tool.version.map_err(blank), ..tool }).collect()
    }

    pub(super) fn network(&self, network: Network) -> Network {
        let blank = |trouble: String| cut(&self.apply(&trouble), LONGEST);
        Network {
            authority: network.authority.map_err(blank),
            proxy: network.proxy.map_err(blank),
            roots: network.roots.map_err(blank),
            answer: network.answer.map_err(blank),
        }
    }
}

/// What a cause said.
#[derive(Debug)]
struct Cause {
    text: String,
    source: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// The forms in which errors may have a value: as it is, without what is around it, by lines, and escaped.
fn add(texts: &mut Vec<String>, value: &str) {
    let escaped = [value.escape_debug().to_string(), crate::screen::escape(value)];
    let forms = [value, value.trim()].into_iter().chain(value.lines().map(str::trim));
    for form in forms.chain(escaped.iter().map(String::as_str)) {
        if form.chars().count() >= SHORTEST {
            texts.push(form.to_owned());
        }
    }
}

fn after_colon(user: &str) -> &str {
    user.split_once(':').map_or("", |(_, password)| password)
}

const STARS: &str = "***";
/// A shorter value is in too many words, in characters. Source: our choice.
const SHORTEST: usize = 6;
/// How many characters make a cut value known. Source: our choice; no word of a message has so many.
const START: usize = 24;
/// More causes are a loop.
const CAUSES: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use identity::ErrorKind;

    use super::*;
    use crate::overlay::Overlay;

    fn blanks(variables: &[(&str, &str)]) -> Blanks {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Blanks::new(&Overlay::new(variables, Arc::clone(identity::platform().env())))
    }

    #[test]
    fn what_is_hidden_is_in_no_text_in_any_form() {
        let key = "-----BEGIN PRIVATE KEY-----\ncanary/canary+canary\n-----END PRIVATE KEY-----\n";
        let long = "canary-canary-canary-canary-canary";
        let all = blanks(&[
            ("AZURE_CLIENT_CERTIFICATE_PATH", key),
            ("AZURE_CLIENT_SECRET", long),
            ("AZURE_PASSWORD", "canary"),
            ("AZURE_TENANT_ID", " Canary~1\n"),
            ("HTTPS_PROXY", "http://user:canary~2@proxy.example:1/"),
            ("AZURE_CLIENT_ID", "short"),
        ]);
        for text in [key, long, &format!("{key:?}"), &crate::screen::escape(key), "x Canary~1: y", "'canary~2'"] {
            let blank = all.apply(text);
            assert!(blank.contains("***") && !blank.to_lowercase().contains("canary"), "{blank}");
        }
        // The longest goes first, and one that was cut goes as far as it is there.
        assert_eq!(all.apply(&format!("a {long} b")), "a *** b");
        assert_eq!(all.apply(&format!("a {} b", &long[..27])), "a *** b");
        // Also in the middle of a line.
        for form in [key.to_owned(), crate::screen::escape(key), key.escape_debug().to_string()] {
            assert_eq!(all.apply(&form), all.apply(&form).lines().next().unwrap());
            let end = form.find("canary").unwrap() + 4;
            assert_eq!(all.apply(&format!("a {} b", &form[..end])), "a *** b");
        }
        assert_eq!(all.apply("a short word, http://proxy.example:1"), "a short word, http://proxy.example:1");
        assert!(!format!("{all:?}").to_lowercase().contains("canary"));
    }

    #[test]
    fn an_error_loses_them_everywhere_and_no_fact() {
        let secret = "canary-canary";
        let all = blanks(&[("AZURE_CLIENT_SECRET", secret)]);
        let deep = Error::new(ErrorKind::Transport, format!("deep {secret}"));
        let cause = Error::new(ErrorKind::Transport, format!("cause {secret}")).with_source(deep);
        let attempt = Error::new(ErrorKind::Protocol, secret).with_credential("A").with_source(cause.clone());
        let error = Error::new(ErrorKind::AuthenticationFailed, format!("m {secret}"))
            .with_http_status(401)
            .with_steps(vec![format!("s {secret}")])
            .with_ids(Some(secret.to_owned()), None)
            .with_attempts(vec![attempt])
            .with_source(cause);
        let blank = all.error(&error);
        let object = crate::failure::to_json(&blank).to_string();
        assert!(!object.contains("canary") && !format!("{blank:?}").contains("canary"), "{object}");
        assert!(object.contains("\"causes\":[\"cause ***\",\"deep ***\"]"), "{object}");
        assert_eq!((blank.kind(), blank.http_status()), (ErrorKind::AuthenticationFailed, Some(401)));
        assert_eq!((blank.steps(), blank.attempts()[0].credential()), (&["s ***".to_owned()][..], "A"));
    }

    #[test]
    fn what_is_shown_stays() {
        let all = blanks(&[("AZURE_TENANT_ID", "contoso.com"), ("AZURE_CLIENT_CERTIFICATE_PATH", "/x/app.pem")]);
        assert_eq!(all.apply("/x/app.pem of contoso.com"), "/x/app.pem of contoso.com");
    }
}
