//! Tokens that are remembered.

use std::{fmt, sync::Arc};

use identity_cache::{Ask, Fetch, Fetched, Lookup, TokenCache};
use identity_core::{BoxFuture, Result, Secret, TokenFuture, TokenRequestOptions, check};

use crate::{client::Client, grant::Grant};

/// A client that remembers its tokens. Clones share what is remembered.
#[derive(Clone)]
pub struct AppClient {
    cache: TokenCache,
    client: Arc<Client>,
    name: &'static str,
}

impl AppClient {
    /// Remembers tokens for the application itself; `name` is the credential's name in tokens, errors and logs.
    #[must_use]
    pub fn new(name: &'static str, client: Client) -> Self {
        let client = Arc::new(client);
        let fetch = Arc::new(AppFetch { name, client: Arc::clone(&client) });
        Self::with_fetch(client, fetch)
    }

    /// Remembers what `fetch` gets by `client`.
    #[must_use]
    pub fn with_fetch(client: Arc<Client>, fetch: Arc<dyn Fetch>) -> Self {
        let name = fetch.name();
        Self { cache: TokenCache::new(client.platform(), fetch, client.cache_options()), client, name }
    }

    /// A token for `scopes`, remembered or new; see [`TokenCache::get`].
    ///
    /// # Errors
    ///
    /// As [`Client::tenant`], [`check::scopes()`], [`check::claims()`], [`Client::request`] and [`TokenCache::get`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future is safe: a request that others wait for goes on, one for nobody is ended.
    #[inline]
    pub fn get<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        match self.client.tenant(options) {
            Ok("") => self.cache.get(scopes, "", "", options),
            Ok(tenant) => self.get_of(tenant, scopes, options),
            Err(error) => TokenFuture::ready(Err(error.with_credential(self.name))),
        }
    }

    /// The same for one of several people; see [`TokenCache::get_for`].
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Cancellation
    ///
    /// As [`get`](Self::get).
    pub fn get_for<'a>(
        &'a self,
        scopes: &'a [&'a str],
        subject: &'a str,
        evidence: &'a Secret,
        options: Option<&'a TokenRequestOptions>,
    ) -> TokenFuture<'a> {
        match self.client.tenant(options) {
            Ok(tenant) if tenant.bytes().any(|byte| byte.is_ascii_uppercase()) => TokenFuture::pending(async move {
                self.cache.get_for(scopes, &tenant.to_ascii_lowercase(), subject, Some(evidence), options).await
            }),
            Ok(tenant) => self.cache.get_for(scopes, tenant, subject, Some(evidence), options),
            Err(error) => TokenFuture::ready(Err(error.with_credential(self.name))),
        }
    }

    /// Of another tenant than the client's own: tenants are the same in any case, and so is what is remembered.
    #[inline(never)]
    fn get_of<'a>(
        &'a self,
        tenant: &'a str,
        scopes: &'a [&'a str],
        options: Option<&'a TokenRequestOptions>,
    ) -> TokenFuture<'a> {
        if !tenant.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.cache.get_for(scopes, tenant, "", None, options);
        }
        TokenFuture::pending(async move {
            self.cache.get_for(scopes, &tenant.to_ascii_lowercase(), "", None, options).await
        })
    }
}

impl fmt::Debug for AppClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.fmt(f)
    }
}

#[derive(Debug)]
struct AppFetch {
    name: &'static str,
    client: Arc<Client>,
}

impl Fetch for AppFetch {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, lookup: &Lookup<'_>) -> Result<()> {
        check::scopes(lookup.scopes)?;
        lookup.claims.map_or(Ok(()), check::claims)
    }

    fn generation(&self) -> u64 {
        self.client.generation()
    }

    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Fetched>> {
        Box::pin(async move { self.client.request(&Grant::client_credentials(), &ask).await?.fetched })
    }
}
