use std::{sync::Arc, time::Duration};

use identity_core::{AccessToken, Error, ErrorKind, Result, TokenCredential, TokenFuture, TokenRequestOptions};

use crate::{bell, driver::Driver};

/// A credential that is called without async, and answers when it has a token or knows why there is none.
///
/// It is the credential that it was made of and nothing more: as large, as cheap to clone, and with the same memory of tokens,
/// which asynchronous callers of that credential may share. Libraries take `&BlockingCredential`, which is one over any
/// credential: `BlockingCredential::new(Arc::new(credential) as Arc<dyn TokenCredential>)`.
///
/// ```
/// use std::{sync::Arc, thread};
/// use identity_blocking::BlockingCredential;
/// use identity_core::{Result, TokenCredential};
///
/// fn from_any_thread(credential: Arc<dyn TokenCredential>) -> Result<()> {
///     let credential = BlockingCredential::new(credential);
///     let ask = || credential.get_token(&["https://storage.azure.com/.default"], None);
///     thread::scope(|scope| {
///         // Both get the token of one request.
///         scope.spawn(ask);
///         println!("until {:?}", ask()?.expires_on());
///         Ok(())
///     })
/// }
/// ```
#[derive(Clone, Debug)]
pub struct BlockingCredential<C = Arc<dyn TokenCredential>>(C);

impl<C> BlockingCredential<C> {
    /// The credential without async. Touches no network and starts no thread; the first call does.
    pub const fn new(credential: C) -> Self {
        Self(credential)
    }

    /// The credential, for asynchronous callers.
    pub const fn inner(&self) -> &C {
        &self.0
    }

    /// The credential, for asynchronous callers.
    pub fn into_inner(self) -> C {
        self.0
    }
}

impl<C: TokenCredential> BlockingCredential<C> {
    /// Gets a token for `scopes`, from memory where a usable one is there, else from the service, for which the calling
    /// thread waits. Credentials of this project end every request within 100 seconds; a chain asks one after the other, and
    /// where thousands of scopes wait for one tool that takes minutes. [`get_token_within`](Self::get_token_within) waits less.
    ///
    /// # Errors
    ///
    /// What the credential's own [`get_token`](TokenCredential::get_token) says; and
    ///
    /// - [`ErrorKind::InvalidArgument`] if no token is remembered and the thread must not wait, since tokio polls on it or the
    ///   process was forked; and on a thread whose local values are being dropped. See the [crate](crate)'s words on that.
    /// - [`ErrorKind::Transport`] if the thread that gets tokens cannot be started. The next call tries again.
    #[inline]
    pub fn get_token(&self, scopes: &[&str], options: Option<&TokenRequestOptions>) -> Result<AccessToken> {
        self.call(scopes, options, None)
    }

    /// The same, and waits no longer than `limit`. With [`Duration::ZERO`] it gives what is remembered, or fails at once;
    /// a request that was begun then ends.
    ///
    /// # Errors
    ///
    /// As [`get_token`](Self::get_token); and [`ErrorKind::Transport`] if there is no answer within `limit`.
    ///
    /// # Cancellation
    ///
    /// A call that gives up is like an asynchronous one whose future is dropped: others who wait for the same token still get it,
    /// and when nobody does the request is ended.
    #[inline]
    pub fn get_token_within(
        &self,
        scopes: &[&str],
        options: Option<&TokenRequestOptions>,
        limit: Duration,
    ) -> Result<AccessToken> {
        self.call(scopes, options, Some(limit))
    }

    /// The credential's name in logs, errors and reports of chains, such as `"ManagedIdentityCredential"`.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    #[inline]
    fn call(
        &self,
        scopes: &[&str],
        options: Option<&TokenRequestOptions>,
        limit: Option<Duration>,
    ) -> Result<AccessToken> {
        let driver = Driver::get()?;
        // Also for a remembered token: its refresh, if due, is started by this call and runs on the driver.
        let _inside = driver.enter()?;
        match self.0.get_token(scopes, options).try_ready() {
            Ok(result) => result,
            Err(future) => miss(driver, future, self.0.name(), limit),
        }
    }
}

/// Waits for a token that is not remembered, within the driver's runtime.
#[cold]
fn miss(driver: &Driver, future: TokenFuture<'_>, name: &'static str, limit: Option<Duration>) -> Result<AccessToken> {
    // Before the first poll, by which something could be sent.
    driver.may_wait().map_err(|error| error.with_credential(name))?;
    match bell::wait(future, limit) {
        Some(result) => result,
        None => {
            let message = format!("no token within {:?}", limit.unwrap_or_default());
            Err(Error::new(ErrorKind::Transport, message).with_credential(name))
        }
    }
}

const _: () = {
    const fn send_sync<T: Clone + Send + Sync + std::fmt::Debug>() {}
    send_sync::<BlockingCredential>();
    send_sync::<BlockingCredential<&dyn TokenCredential>>();
    assert!(size_of::<BlockingCredential<Arc<u8>>>() == size_of::<usize>());
};
