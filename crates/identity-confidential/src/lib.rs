//! Credentials of applications that prove who they are by a secret, or by an assertion that the program gets itself.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn example(secret: String) -> identity_core::Result<()> {
//! use identity_confidential::ClientSecretCredential;
//! use identity_core::TokenCredential as _;
//!
//! let credential = ClientSecretCredential::builder("TENANT", "CLIENT", secret).build()?;
//! let token = credential.get_token(&["https://vault.azure.net/.default"], None).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `authorization-code`: [`AuthorizationCodeCredential`], for web applications whose users signed in.
//! - `on-behalf-of`: [`OnBehalfOfClient`] and [`OnBehalfOfCredential`], for services that act for their users.
//! - `username-password`: [`UsernamePasswordCredential`], which is deprecated, for people without a second factor.
//! - `tokio`: `build()` on the builders, for programs on tokio; brings TLS (rustls with ring).
//!
//! # Security
//!
//! Secrets and assertions are wiped when dropped and occur in no message, no `Debug` and no log; see `identity-oauth` for
//! what is sent where. A password may also be sent to the server of the person's organisation; see
//! [`UsernamePasswordCredential`].
#![forbid(unsafe_code)]

mod assertion;
#[cfg(feature = "authorization-code")]
mod authorization_code;
#[cfg(feature = "on-behalf-of")]
mod on_behalf_of;
mod secret;
#[cfg(feature = "username-password")]
mod username_password;

#[cfg(test)]
mod tests;

#[cfg(feature = "authorization-code")]
pub use self::authorization_code::{AuthorizationCodeCredential, AuthorizationCodeCredentialBuilder};
#[cfg(feature = "on-behalf-of")]
pub use self::on_behalf_of::{
    OnBehalfOfClient, OnBehalfOfClientBuilder, OnBehalfOfCredential, OnBehalfOfCredentialBuilder,
};
#[cfg(feature = "username-password")]
#[expect(deprecated, reason = "whoever names it hears so")]
pub use self::username_password::{UsernamePasswordCredential, UsernamePasswordCredentialBuilder};
pub use self::{
    assertion::{
        Assertion, AssertionRequest, ClientAssertionCredential, ClientAssertionCredentialBuilder, TokenAssertion,
    },
    secret::{ClientSecretCredential, ClientSecretCredentialBuilder},
};

/// Facts that the compiler checks.
const _: () = {
    const fn credential<T: identity_core::TokenCredential + Clone + 'static>() {}
    credential::<ClientSecretCredential>();
    credential::<ClientAssertionCredential>();
    assert!(size_of::<ClientSecretCredential>() == size_of::<usize>());
    assert!(size_of::<ClientAssertionCredential>() == size_of::<usize>());
    #[cfg(feature = "authorization-code")]
    {
        credential::<AuthorizationCodeCredential>();
        assert!(size_of::<AuthorizationCodeCredential>() == size_of::<usize>());
    }
    #[cfg(feature = "on-behalf-of")]
    {
        credential::<OnBehalfOfCredential>();
        assert!(size_of::<OnBehalfOfCredential>() == size_of::<usize>());
        assert!(size_of::<OnBehalfOfClient>() == size_of::<usize>());
    }
    #[cfg(feature = "username-password")]
    #[expect(deprecated, reason = "its size counts all the same")]
    {
        credential::<UsernamePasswordCredential>();
        assert!(size_of::<UsernamePasswordCredential>() == size_of::<usize>());
    }
};
