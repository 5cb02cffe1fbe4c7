//! What a credential needs, from options, files and variables.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use identity::{Env, Error, ErrorKind, Result, Secret};

/// Collects what is missing, so that it is told at once and not one by one.
pub(super) struct Settings<'a> {
    env: &'a dyn Env,
    missing: Vec<String>,
}

impl<'a> Settings<'a> {
    pub(super) fn new(env: &'a dyn Env) -> Self {
        Self { env, missing: Vec::new() }
    }

    /// The option's value, else that of the first variable that is set.
    ///
    /// Empty text stands for what is missing: [`done`](Self::done) says so before anybody uses it.
    pub(super) fn text(&mut self, flag: &str, given: Option<&str>, variables: &[&str]) -> Result<String> {
        if let Some(given) = given {
            return Ok(given.to_owned());
        }
        let found = self.variable(variables)?;
        Ok(found.unwrap_or_else(|| self.lacks(flag, variables)))
    }

    /// The same for a path.
    pub(super) fn path(&mut self, flag: &str, given: Option<&Path>, variables: &[&str]) -> Result<PathBuf> {
        if let Some(given) = given {
            return Ok(given.to_owned());
        }
        self.text(flag, None, variables).map(PathBuf::from)
    }

    /// A secret: the content of the file that the option names, else the variable.
    pub(super) fn secret(&mut self, flag: &str, file: Option<&Path>, variable: &str) -> Result<Secret> {
        if let Some(secret) = self.optional_secret(flag, file, variable)? {
            return Ok(secret);
        }
        Ok(Secret::new(self.lacks(flag, &[variable])))
    }

    /// The same for one that is not always needed.
    pub(super) fn optional_secret(&self, flag: &str, file: Option<&Path>, variable: &str) -> Result<Option<Secret>> {
        match self.optional_file(flag, file)? {
            Some(secret) => Ok(Some(secret)),
            None => Ok(self.env.text(variable)?.map(Secret::new)),
        }
    }

    /// A secret that only a file holds: that of the option, else that which the variable names.
    pub(super) fn file(&mut self, flag: &str, file: Option<&Path>, variable: &str) -> Result<Secret> {
        let found = match file {
            Some(file) => Some(file.to_owned()),
            None => self.env.text(variable)?.map(PathBuf::from),
        };
        Ok(self.optional_file(flag, found.as_deref())?.unwrap_or_else(|| Secret::new(self.lacks(flag, &[variable]))))
    }

    /// The same for one that is not always needed.
    pub(super) fn optional_file(&self, flag: &str, file: Option<&Path>) -> Result<Option<Secret>> {
        let read = |file: &Path| {
            read_secret(file).map_err(|error| {
                let message = format!("--{flag} {}: {error}", file.display());
                Error::new(ErrorKind::InvalidArgument, message)
            })
        };
        file.map(read).transpose()
    }

    /// Takes note of something that is missing.
    pub(super) fn lack(&mut self, what: &str) {
        self.lacks(what, &[]);
    }

    /// Whether a variable says yes; nothing but `1` and `true` does.
    ///
    /// Source: `@azure/identity` 4.14.1, `environmentCredential.ts`.
    pub(super) fn is_on(&self, variable: &str) -> Result<bool> {
        Ok(self.env.text(variable)?.is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true")))
    }

    /// # Errors
    ///
    /// If something is missing: all of it, by option and variable.
    pub(super) fn done(self, credential: &str) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let message = format!("{credential}{MORE}\n{}", self.missing.join("\n"));
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }

    pub(super) fn variable(&self, names: &[&str]) -> Result<Option<String>> {
        for name in names {
            if let Some(text) = self.env.text(name)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    fn lacks(&mut self, flag: &str, variables: &[&str]) -> String {
        self.missing.push(match variables {
            [] => format!("--{flag}"),
            names => format!("--{flag}, or the variable {}", names.join(" or ")),
        });
        String::new()
    }
}

/// Whether the error is of [`Settings::done`]: nothing is wrong, there is just too little.
pub(crate) fn is_incomplete(error: &Error) -> bool {
    error.to_string().lines().next().is_some_and(|line| line.ends_with(MORE))
}

/// Reads a secret from a file, a pipe, or standard input for `-`. One line end is not part of it.
fn read_secret(path: &Path) -> io::Result<Secret> {
    let mut bytes = Vec::with_capacity(LIMIT);
    if path == Path::new("-") {
        io::stdin().lock().take(LIMIT as u64).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(LIMIT as u64).read_to_end(&mut bytes)?;
    }
    if bytes.len() == LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("has {LIMIT} bytes or more")));
    }
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut text = String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8 text"))?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err(invalid("is empty"));
    }
    // In place, so that no copy of it stays behind.
    text.truncate(line.len());
    Ok(Secret::new(text))
}

const MORE: &str = " needs more:";

/// No secret has as many bytes. Source: our choice; a token of Azure Pipelines has some thousand.
const LIMIT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, fs, sync::Arc};

    use super::*;
    use crate::overlay::Overlay;

    fn env(variables: &[(&str, &str)]) -> Overlay {
        let variables: HashMap<_, _> = variables.iter().map(|(name, value)| (*name, *value)).collect();
        let pairs = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Overlay::new(pairs, Arc::clone(identity::platform().env()))
    }

    #[test]
    fn an_option_comes_before_variables_and_these_in_their_order() {
        let env = env(&[("A", ""), ("B", "b"), ("C", "c")]);
        let mut settings = Settings::new(&env);
        assert_eq!(settings.text("x", Some("given"), &["B"]).unwrap(), "given");
        assert_eq!(settings.text("x", None, &["A", "B", "C"]).unwrap(), "b");
        assert_eq!(settings.path("x", None, &["C", "B"]).unwrap(), Path::new("c"));
        settings.done("some").unwrap();
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let env = env(&[]);
        let mut settings = Settings::new(&env);
        settings.text("tenant-id", None, &["A", "B"]).unwrap();
        settings.secret("file", None, "S").unwrap();
        settings.text("only", None, &[]).unwrap();
        let error = settings.done("some").unwrap_err();
        assert!(is_incomplete(&error) && !is_incomplete(&Error::new(ErrorKind::InvalidArgument, "other")));
        assert_eq!(
            error.to_string(),
            "some needs more:\n--tenant-id, or the variable A or B\n--file, or the variable S\n--only"
        );
    }

    #[test]
    fn only_one_and_true_switch_on() {
        for (value, expected) in
            [("1", true), ("TRUE", true), ("0", false), ("false", false), ("yes", false), ("", false)]
        {
            assert_eq!(Settings::new(&env(&[("V", value)])).is_on("V").unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn a_secret_loses_its_line_end_and_nothing_else() {
        let directory = std::env::temp_dir().join(format!("identity-secret-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("secret");
        for (content, expected) in [
            (&b" s\n"[..], Some(" s")),
            (b"s\r\n", Some("s")),
            (b"s\n\n", Some("s\n")),
            (b"\n", None),
            (b"", None),
            (b"\xff", None),
        ] {
            fs::write(&path, content).unwrap();
            let found = read_secret(&path).ok();
            assert_eq!(found.as_ref().map(Secret::expose), expected);
        }
        fs::write(&path, vec![b's'; LIMIT]).unwrap();
        assert_eq!(read_secret(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(read_secret(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
