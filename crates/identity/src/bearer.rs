//! A token for the same scopes, whenever one is needed.

use std::{fmt, sync::Arc};

use identity_core::{AccessToken, BoxFuture, Result, TokenCredential, TokenFuture};

/// Makes a provider of tokens for `scopes`, for clients that want to be handed something to call.
///
/// ```no_run
/// # #[cfg(feature = "default-chain")]
/// # async fn example() -> identity::Result<()> {
/// use std::sync::Arc;
/// use identity::{DefaultAzureCredential, get_bearer_token_provider};
///
/// let credential = Arc::new(DefaultAzureCredential::new()?);
/// let provider = get_bearer_token_provider(credential, ["https://cognitiveservices.azure.com/.default"]);
/// // For each request: the header's value as it is sent, built once for each token.
/// let token = provider.token().await?;
/// println!("{} bytes", token.authorization().len());
/// // For a client that takes a function.
/// let function = provider.into_fn();
/// let token = function().await?;
/// # Ok(())
/// # }
/// ```
///
/// The provider remembers nothing by itself: the credential does, refreshes the token ahead of time with jitter, and keeps
/// one that is still good while a refresh fails. A credential of your own that remembers nothing is asked each time, and its
/// `get_token` is called twice for one token: what is not ready at once is asked for again, so its work belongs into the future.
///
/// Source: azure-identity 1.27.0, `_bearer_token_provider.py`, which has a memory of its own.
#[must_use]
pub fn get_bearer_token_provider<S: Into<String>>(
    credential: Arc<dyn TokenCredential>,
    scopes: impl IntoIterator<Item = S>,
) -> BearerTokenProvider {
    BearerTokenProvider(Arc::new(Inner { credential, scopes: scopes.into_iter().map(Into::into).collect() }))
}

/// Tokens of one credential for one set of scopes; see [`get_bearer_token_provider`].
///
/// One pointer wide; clones are the same provider.
#[derive(Clone)]
pub struct BearerTokenProvider(Arc<Inner>);

struct Inner {
    credential: Arc<dyn TokenCredential>,
    scopes: Vec<String>,
}

impl BearerTokenProvider {
    /// Gets a token, from memory where a usable one is there.
    ///
    /// [`AccessToken::authorization`] is the whole value of the header, the same text for all who are given this token.
    ///
    /// # Errors
    ///
    /// Those of the credential, unchanged.
    ///
    /// # Cancellation
    ///
    /// As that of the credential: dropping the future is safe at any time.
    pub fn token(&self) -> TokenFuture<'_> {
        let inner = &*self.0;
        let mut scopes = [""; SCOPES];
        for (place, scope) in scopes.iter_mut().zip(&inner.scopes) {
            *place = scope;
        }
        // A token that is remembered is there at once, and needs no future that keeps the scopes.
        if let Some(scopes) = scopes.get(..inner.scopes.len())
            && let Ok(result) = inner.credential.get_token(scopes, None).try_ready()
        {
            return TokenFuture::ready(result);
        }
        TokenFuture::pending(inner.ask())
    }

    /// The provider as a function, for clients that want one.
    pub fn into_fn(self) -> impl Fn() -> BoxFuture<'static, Result<AccessToken>> + Clone + Send + Sync + 'static {
        move || {
            let inner = Arc::clone(&self.0);
            Box::pin(async move { inner.ask().await })
        }
    }
}

impl Inner {
    async fn ask(&self) -> Result<AccessToken> {
        let scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        self.credential.get_token(&scopes, None).await
    }
}

impl fmt::Debug for BearerTokenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerTokenProvider")
            .field("credential", &self.0.credential)
            .field("scopes", &self.0.scopes)
            .finish()
    }
}

/// As many as a request may have; more are refused by the credential, by the way that allocates.
const SCOPES: usize = 16;

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::{Context, Poll, Waker},
        time::SystemTime,
    };

    use identity_core::{Error, ErrorKind, TokenRequestOptions};

    use super::*;

    /// Has a token at once for every second call, else a moment later; tells which scopes it was asked for.
    #[derive(Debug, Default)]
    struct Turns(AtomicUsize);

    impl TokenCredential for Turns {
        fn get_token<'a>(&'a self, scopes: &'a [&'a str], _: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
            let turn = self.0.fetch_add(1, Ordering::Relaxed);
            match scopes {
                [] => TokenFuture::ready(Err(Error::new(ErrorKind::InvalidArgument, "no scopes"))),
                _ if turn % 2 == 1 => {
                    TokenFuture::ready(Ok(AccessToken::new(&scopes.concat(), SystemTime::UNIX_EPOCH)))
                }
                _ => TokenFuture::pending(async { Ok(AccessToken::new(&scopes.concat(), SystemTime::UNIX_EPOCH)) }),
            }
        }

        fn name(&self) -> &'static str {
            "Turns"
        }
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("it waits for nothing"),
        }
    }

    #[test]
    fn the_credential_is_asked_for_the_same_scopes_each_time() {
        let scopes: Vec<String> = (0..SCOPES + 1).map(|number| format!("<{number}>")).collect();
        for count in [1, 2, SCOPES, SCOPES + 1] {
            let provider = get_bearer_token_provider(Arc::new(Turns::default()), &scopes[..count]);
            let expected = scopes[..count].concat();
            for _ in 0..4 {
                assert_eq!(now(provider.token()).unwrap().secret(), expected);
            }
            let function = provider.clone().into_fn();
            assert_eq!(now(function()).unwrap().secret(), expected);
            assert_eq!(now(function.clone()()).unwrap().authorization(), format!("Bearer {expected}"));
        }
    }

    #[test]
    #[cfg(feature = "msi")]
    fn a_token_is_refreshed_ahead_of_time_and_kept_while_it_is_good() {
        use std::time::Duration;

        use identity_core::fakes::{FakeClock, FakeEnv, FakeTransport, Sim, json, platform};

        // What an hour's token is refreshed by: 5 minutes, and up to 6 more by chance, which these fakes do not draw.
        for (refresh_in, due) in [("", 3_300), (r#","refresh_in":600"#, 600)] {
            let clock = FakeClock::default();
            let transport = FakeTransport::new(&clock, {
                let clock = clock.clone();
                move |_| match clock.elapsed().as_secs() {
                    0 | 3_600.. => {
                        let at = clock.elapsed().as_secs();
                        Ok(json(200, &format!(r#"{{"access_token":"t{at}","expires_in":3600{refresh_in}}}"#)))
                    }
                    _ => Ok(json(400, r#"{"error":"invalid_request"}"#)),
                }
            });
            let env = FakeEnv::new(&[("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"), ("IDENTITY_HEADER", "h")]);
            let platform = platform(&clock, &transport, &env);
            let credential = crate::ManagedIdentityCredential::builder().build_with(&platform).unwrap();
            let provider = get_bearer_token_provider(Arc::new(credential), ["https://vault.azure.net/.default"]);
            let sim = Sim::new(&clock);
            let token = || {
                let token = sim.run(async { provider.token().await }).unwrap();
                sim.settle();
                token.secret().to_owned()
            };
            assert_eq!((token(), transport.count()), ("t0".to_owned(), 1));
            clock.advance(Duration::from_secs(due - 1));
            assert_eq!((token(), transport.count()), ("t0".to_owned(), 1), "not yet");
            clock.advance(Duration::from_secs(1));
            assert_eq!((token(), transport.count()), ("t0".to_owned(), 2), "the refresh fails, the token is good");
            clock.advance(Duration::from_secs(3_600 - due));
            assert_eq!((token(), transport.count()), ("t3600".to_owned(), 3), "it has expired");
        }
    }

    #[test]
    fn failures_are_those_of_the_credential() {
        let provider = get_bearer_token_provider(Arc::new(Turns::default()), [""; 0]);
        assert_eq!(now(provider.token()).unwrap_err().to_string(), "no scopes");
        assert_eq!(now(provider.into_fn()()).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
