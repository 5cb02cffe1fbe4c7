use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{AccessToken, Error, TokenRequestOptions};

/// A future on the heap, as the seams return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that can get tokens.
///
/// Every credential of this project implements it, and so can yours. It is object-safe: libraries take
/// `Arc<dyn TokenCredential>` or `&dyn TokenCredential`. References, `Arc`s and `Box`es of credentials are credentials.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use identity_core::{AccessToken, TokenCredential, TokenFuture, TokenRequestOptions};
///
/// /// Always the same token, for a test.
/// #[derive(Debug)]
/// struct StaticCredential(AccessToken);
///
/// impl TokenCredential for StaticCredential {
///     fn get_token<'a>(&'a self, _: &'a [&'a str], _: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
///         TokenFuture::ready(Ok(self.0.clone()))
///     }
///     fn name(&self) -> &'static str {
///         "StaticCredential"
///     }
/// }
/// ```
pub trait TokenCredential: fmt::Debug + Send + Sync {
    /// Gets a token for `scopes`, from memory where a usable one is there, else from the service.
    ///
    /// To call it does no work but to look into memory; the work is done when the future is polled. So a caller may look whether
    /// a token is ready ([`TokenFuture::try_ready`]) and drop the future if not.
    ///
    /// A scope names a resource and what to do with it; for services it is the resource and `/.default`, such as
    /// `https://storage.azure.com/.default`.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind) for what each kind means and what to do; each credential documents what
    /// triggers which.
    ///
    /// # Cancellation
    ///
    /// Dropping the future is safe at any time: other callers who wait for the same token still get it, and the next
    /// call starts anew.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a>;

    /// The credential's name in logs, errors and reports of chains, such as `"ManagedIdentityCredential"`.
    fn name(&self) -> &'static str;
}

/// What points at a credential is one.
macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<C: TokenCredential + ?Sized> TokenCredential for $pointer {
            #[inline]
            fn get_token<'a>(
                &'a self,
                scopes: &'a [&'a str],
                options: Option<&'a TokenRequestOptions>,
            ) -> TokenFuture<'a> {
                (**self).get_token(scopes, options)
            }

            #[inline]
            fn name(&self) -> &'static str {
                (**self).name()
            }
        }
    )*};
}
pointers!(&C, Arc<C>, Box<C>);

/// What [`TokenCredential::get_token`] returns: a token that is there, or one that is on its way.
///
/// The first form needs no allocation, which is why this is a type of its own and not a boxed future.
#[must_use = "futures do nothing unless awaited"]
pub struct TokenFuture<'a>(State<'a>);

enum State<'a> {
    Token(AccessToken),
    Failed(Error),
    Pending(BoxFuture<'a, Result<AccessToken, Error>>),
    Taken,
}

impl<'a> TokenFuture<'a> {
    /// A future that is done.
    #[inline]
    pub fn ready(result: Result<AccessToken, Error>) -> Self {
        Self(match result {
            Ok(token) => State::Token(token),
            Err(error) => State::Failed(error),
        })
    }

    /// A future that has work to do; it moves to the heap.
    pub fn pending(work: impl Future<Output = Result<AccessToken, Error>> + Send + 'a) -> Self {
        Self(State::Pending(Box::pin(work)))
    }

    /// The result, if it is there without waiting; else the future again.
    ///
    /// Lets synchronous code use a cached token without a runtime.
    ///
    /// # Errors
    ///
    /// The future itself, to be awaited.
    pub fn try_ready(self) -> Result<Result<AccessToken, Error>, Self> {
        match self.0 {
            State::Token(token) => Ok(Ok(token)),
            State::Failed(error) => Ok(Err(error)),
            other => Err(Self(other)),
        }
    }
}

impl Future for TokenFuture<'_> {
    type Output = Result<AccessToken, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Pending(work) = &mut self.0 {
            return work.as_mut().poll(cx);
        }
        match std::mem::replace(&mut self.0, State::Taken) {
            State::Token(token) => Poll::Ready(Ok(token)),
            State::Failed(error) => Poll::Ready(Err(error)),
            // Polled again after completion: pending for ever, as a future that never panics must be.
            State::Pending(_) | State::Taken => Poll::Pending,
        }
    }
}

impl fmt::Debug for TokenFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Token(_) | State::Failed(_) => "TokenFuture(ready)",
            State::Pending(_) => "TokenFuture(pending)",
            State::Taken => "TokenFuture(done)",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::ErrorKind;

    /// Says in a failure what it was asked for.
    #[derive(Debug)]
    struct Echo;

    impl TokenCredential for Echo {
        fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
            let tenant = options.and_then(TokenRequestOptions::tenant_id).unwrap_or_default();
            TokenFuture::ready(Err(Error::new(ErrorKind::Protocol, format!("{scopes:?} {tenant}"))))
        }
        fn name(&self) -> &'static str {
            "Echo"
        }
    }

    #[test]
    fn what_points_at_a_credential_is_that_credential() {
        fn ask(credential: impl TokenCredential) -> String {
            assert_eq!(credential.name(), "Echo");
            let options = TokenRequestOptions::new().with_tenant_id("tenant");
            let failure = credential.get_token(&["a", "b"], Some(&options)).try_ready().unwrap().unwrap_err();
            failure.to_string()
        }
        let shared: Arc<dyn TokenCredential> = Arc::new(Echo);
        let boxed: Box<dyn TokenCredential> = Box::new(Echo);
        for told in [ask(Echo), ask(&Echo), ask(&*shared), ask(&shared), ask(Arc::clone(&shared)), ask(boxed)] {
            assert_eq!(told, r#"["a", "b"] tenant"#);
        }
    }

    #[test]
    fn a_future_that_is_done_is_pending_for_ever_and_does_not_panic() {
        let mut future = Echo.get_token(&["a"], None);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut future).poll(&mut context).is_ready());
        assert!(Pin::new(&mut future).poll(&mut context).is_pending());
    }
}
