//! What all credentials of tools can be told.

use std::time::Duration;

use identity_cache::CacheOptions;
use identity_core::{Error, ErrorKind, Result, check};
use identity_oauth::Tenants;

/// Options that all of them have; their builders' setters of the same names say what each does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) tenant_id: Option<String>,
    pub(crate) allowed_tenants: Option<Vec<String>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) failure_memory: Option<Duration>,
    pub(crate) is_cache_off: bool,
}

impl Options {
    pub(crate) fn tenants(&self, env: &dyn identity_core::Env) -> Result<Tenants> {
        if let Some(tenant) = &self.tenant_id {
            check::tenant_id(tenant)?;
        }
        Tenants::new(self.tenant_id.as_deref().unwrap_or_default(), self.allowed_tenants.clone(), env)
    }

    pub(crate) fn timeout(&self) -> Result<Duration> {
        match self.timeout.unwrap_or(TIMEOUT) {
            timeout if timeout.is_zero() || timeout > TIMEOUT_LIMIT => {
                Err(invalid(format!("the process timeout is {timeout:?}; more than 0 and at most 90 s are allowed")))
            }
            timeout => Ok(timeout),
        }
    }

    pub(crate) fn cache(&self) -> Result<Option<CacheOptions>> {
        let mut cache = CacheOptions::default();
        if let Some(duration) = self.failure_memory {
            if duration > cache.failure_memory {
                return Err(invalid(format!(
                    "a failure memory of more than {} s was given",
                    cache.failure_memory.as_secs()
                )));
            }
            cache.failure_memory = duration;
        }
        Ok((!self.is_cache_off).then_some(cache))
    }
}

/// The setters of a builder for its field `options`.
macro_rules! options {
    () => {
        /// Sets the tenant to get tokens of, a GUID or a domain name. The default is the tenant that the tool is signed in to.
        #[must_use]
        pub fn tenant_id(mut self, tenant_id: impl Into<String>) -> Self {
            self.options.tenant_id = Some(tenant_id.into());
            self
        }

        /// Lets requests ask for tokens of these tenants besides the one of [`tenant_id`](Self::tenant_id); `"*"` allows any.
        ///
        /// May be called several times. The default is the list in `AZURE_ADDITIONALLY_ALLOWED_TENANTS`, separated by
        /// semicolons, else none. Without a tenant of its own the credential lets requests ask for any.
        /// `AZURE_IDENTITY_DISABLE_MULTITENANTAUTH` pins the own tenant whatever is allowed.
        #[must_use]
        pub fn additionally_allowed_tenants<T: Into<String>>(mut self, tenants: impl IntoIterator<Item = T>) -> Self {
            self.options.allowed_tenants.get_or_insert_default().extend(tenants.into_iter().map(Into::into));
            self
        }

        /// Sets how long one run of the tool may take; the default is 10 seconds, the most 90. When it is over, the tool is asked
        /// to end, and half a second later it is killed, with everything that it has started.
        #[must_use]
        pub fn process_timeout(mut self, timeout: ::std::time::Duration) -> Self {
            self.options.timeout = Some(timeout);
            self
        }

        /// Sets how long a refusal is handed out again without running the tool. The default, and the most, is 60 seconds. It is
        /// forgotten as soon as somebody signs in to the tool.
        #[must_use]
        pub fn failure_memory(mut self, duration: ::std::time::Duration) -> Self {
            self.options.failure_memory = Some(duration);
            self
        }

        /// Remembers nothing: every call runs the tool, as the credential of Python does. Calls at the same time do not share
        /// a run.
        #[must_use]
        pub fn no_cache(mut self) -> Self {
            self.options.is_cache_off = true;
            self
        }
    };
}
pub(crate) use options;

#[cold]
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// Source: azure-identity 1.27.0, `_credentials/azure_cli.py` (`process_timeout`).
const TIMEOUT: Duration = Duration::from_secs(10);
/// Source: our choice; what is remembered of a request is given up after 100 s.
const TIMEOUT_LIMIT: Duration = Duration::from_secs(90);
