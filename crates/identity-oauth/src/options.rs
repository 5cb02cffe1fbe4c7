//! What every credential of a token endpoint can be told.

use std::{fmt, time::Duration};

use identity_cache::CacheOptions;
use identity_core::{Env, Error, ErrorKind, Result};

use crate::{authority::Authority, tenant::Tenants};

/// Options that all credentials of a token endpoint have; their builders' setters of the same names say what each does.
#[derive(Clone, Default)]
pub struct ClientOptions {
    pub(crate) authority: Option<String>,
    pub(crate) allowed_tenants: Option<Vec<String>>,
    pub(crate) is_discovery_disabled: bool,
    pub(crate) region: Option<String>,
    pub(crate) failure_memory: Option<Duration>,
    pub(crate) capacity: Option<usize>,
    pub(crate) in_flight: Option<usize>,
    pub(crate) wants_all_scopes: bool,
}

impl ClientOptions {
    /// Judges what can be judged without knowing the application, for those who keep options for later.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument) for an authority or a list of tenants that is
    /// none, whether it was set or is in its variable, and a failure memory of more than 60 seconds.
    pub fn check(&self, env: &dyn Env) -> Result<()> {
        Authority::choose(self.authority.as_deref(), env)?;
        Tenants::new("", self.allowed_tenants.clone(), env)?;
        self.cache().map(drop)
    }

    /// The limits of a cache for tokens.
    pub(crate) fn cache(&self) -> Result<CacheOptions> {
        let mut cache = CacheOptions::default();
        if let Some(duration) = self.failure_memory {
            if duration > cache.failure_memory {
                let most = cache.failure_memory.as_secs();
                return Err(invalid(format!("a failure memory of more than {most} s was given")));
            }
            cache.failure_memory = duration;
        }
        if let Some(capacity) = self.capacity {
            if capacity == 0 {
                return Err(invalid(
                    "a cache for no token was asked for; expected a capacity of at least 1".to_owned(),
                ));
            }
            cache.capacity = capacity;
        }
        Ok(cache)
    }

    /// See the builders' `authority`.
    pub fn authority(&mut self, authority: String) {
        self.authority = Some(authority);
    }

    /// See the builders' `additionally_allowed_tenants`.
    pub fn additionally_allowed_tenants(&mut self, tenants: Vec<String>) {
        self.allowed_tenants.get_or_insert_default().extend(tenants);
    }

    /// See the builders' `disable_instance_discovery`.
    pub fn disable_instance_discovery(&mut self) {
        self.is_discovery_disabled = true;
    }

    /// See the builders' `region`.
    pub fn region(&mut self, region: String) {
        self.region = Some(region);
    }

    /// See the builders' `failure_memory`.
    pub fn failure_memory(&mut self, duration: Duration) {
        self.failure_memory = Some(duration);
    }

    /// See the builders' `cache_capacity`.
    pub fn cache_capacity(&mut self, keys: usize) {
        self.capacity = Some(keys);
    }

    /// The same, unless it was called.
    pub fn default_cache_capacity(&mut self, keys: usize) {
        self.capacity.get_or_insert(keys);
    }

    /// See the builders' `max_in_flight`.
    pub fn max_in_flight(&mut self, requests: usize) {
        self.in_flight = Some(requests);
    }

    /// See the builders' `require_granted_scopes`.
    pub fn require_granted_scopes(&mut self) {
        self.wants_all_scopes = true;
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// An authority is shown without what could be a password in it.
impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_password = |text: &str| text.bytes().any(|b| b == b'@');
        let authority = self.authority.as_deref().map(|text| if has_password(text) { "***" } else { text });
        f.debug_struct("ClientOptions")
            .field("authority", &authority)
            .field("additionally_allowed_tenants", &self.allowed_tenants)
            .field("disable_instance_discovery", &self.is_discovery_disabled)
            .field("region", &self.region)
            .field("failure_memory", &self.failure_memory)
            .field("cache_capacity", &self.capacity)
            .field("max_in_flight", &self.in_flight)
            .field("require_granted_scopes", &self.wants_all_scopes)
            .finish()
    }
}

/// The setters of a builder for its field `options`, a [`ClientOptions`].
#[doc(hidden)]
#[macro_export]
macro_rules! client_options {
    () => {
        /// All options at once, for credentials that are made of others.
        #[doc(hidden)]
        #[must_use]
        pub fn with_options(mut self, options: $crate::ClientOptions) -> Self {
            self.options = options;
            self
        }

        /// Sets the authority that issues the tokens: a host such as `login.microsoftonline.us`, or an `https` URL.
        ///
        /// The default is the variable `AZURE_AUTHORITY_HOST`, else `login.microsoftonline.com`; `AzureAuthorityHosts`
        /// lists the clouds. A host that is none of Microsoft's is looked up at `login.microsoftonline.com` before
        /// anything is sent to it; see [`disable_instance_discovery`](Self::disable_instance_discovery).
        #[must_use]
        pub fn authority(mut self, authority: impl ::std::convert::Into<::std::string::String>) -> Self {
            self.options.authority(authority.into());
            self
        }

        /// Lets requests ask for tokens of these tenants besides the credential's own; `"*"` allows any.
        ///
        /// May be called several times. The default is the list in `AZURE_ADDITIONALLY_ALLOWED_TENANTS`, separated by
        /// semicolons, else none. `AZURE_IDENTITY_DISABLE_MULTITENANTAUTH` and AD FS pin the own tenant whatever is allowed.
        #[must_use]
        pub fn additionally_allowed_tenants<T: ::std::convert::Into<::std::string::String>>(
            mut self,
            tenants: impl ::std::iter::IntoIterator<Item = T>,
        ) -> Self {
            let tenants = tenants.into_iter().map(::std::convert::Into::into).collect();
            self.options.additionally_allowed_tenants(tenants);
            self
        }

        /// Trusts the authority without asking `login.microsoftonline.com` whether it is one. For disconnected clouds,
        /// private ones, and tests. Hosts of Microsoft's clouds are never asked about.
        #[must_use]
        pub fn disable_instance_discovery(mut self) -> Self {
            self.options.disable_instance_discovery();
            self
        }

        /// Asks the authority's endpoint of one region, such as `westus2`, or `tryautodetect` for the one that the machine
        /// is in (by the variable `REGION_NAME`, else by IMDS within 2 s; if neither tells, the global endpoint is asked).
        ///
        /// The default is the variable `AZURE_REGIONAL_AUTHORITY_NAME`, else `MSAL_FORCE_REGION`, else no region. Only for
        /// services that Microsoft allows to use regional endpoints.
        #[must_use]
        pub fn region(mut self, region: impl ::std::convert::Into<::std::string::String>) -> Self {
            self.options.region(region.into());
            self
        }

        /// Sets how long a refusal is handed out again without asking. The default, and the most, is 60 seconds. When a file
        /// changes that proves the identity, what was refused before is forgotten at once.
        #[must_use]
        pub fn failure_memory(mut self, duration: ::std::time::Duration) -> Self {
            self.options.failure_memory(duration);
            self
        }

        /// Sets how many tokens are remembered; the default is 256. Each set of scopes and each tenant counts, with and
        /// without continuous access evaluation.
        #[must_use]
        pub fn cache_capacity(mut self, keys: usize) -> Self {
            self.options.cache_capacity(keys);
            self
        }

        /// Sets how many requests to the authority may be under way at a time, 1 at least; the others wait their turn. The
        /// default is 64. All credentials of a platform share it for one host: the first one's setting holds.
        #[must_use]
        pub fn max_in_flight(mut self, requests: usize) -> Self {
            self.options.max_in_flight(requests);
            self
        }

        /// Refuses a token if the service says that it grants less than all scopes that were asked for. Without this the
        /// token is returned and a warning is logged.
        #[must_use]
        pub fn require_granted_scopes(mut self) -> Self {
            self.options.require_granted_scopes();
            self
        }
    };
}
