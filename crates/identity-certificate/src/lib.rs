//! The credential of applications that prove who they are by a certificate.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn example() -> identity_core::Result<()> {
//! use identity_certificate::CertificateCredential;
//! use identity_core::TokenCredential as _;
//!
//! let credential =
//!     CertificateCredential::builder("TENANT", "CLIENT").certificate_path("/etc/app/identity.pem").build()?;
//! let token = credential.get_token(&["https://vault.azure.net/.default"], None).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`ClientCertificate`] is the proof alone, for other credentials that take one. A [`Signer`] keeps the key elsewhere.
//!
//! # Assertions
//!
//! `PS256` with `x5t#S256` for Entra ID, `RS256` with `x5t` for AD FS. Each is for one endpoint, valid from five minutes ago
//! for ten minutes from now, and used until one minute is left: about one signature in nine minutes.
//!
//! # Features
//!
//! - `encrypted`: private keys that are encrypted: PBES2 with PBKDF2 and AES or 3DES in CBC mode.
//! - `pkcs12`: PKCS#12 files (`.pfx`, `.p12`), also old ones with RC2 and 3DES; brings `encrypted`. Their integrity is
//!   checked also by PBMAC1 (RFC 9579).
//! - `tokio`: `build()` on the builder, for programs on tokio; brings TLS (rustls with ring).
//!
//! # Security
//!
//! Keys, passwords and assertions occur in no message, no `Debug` and no log. Their buffers are wiped when dropped. ring,
//! which signs, has the key's numbers in memory of its own, and does not wipe them when the credential is dropped or its
//! key replaced. A key file that every user of the machine can read is warned of.
//!
//! A file cannot keep a program busy: a password is turned into keys in at most 2,000,000 rounds, less than two seconds. A
//! file that changed is decrypted by one caller, while the others sign with the last key.
#![forbid(unsafe_code)]

mod assertions;
#[cfg(feature = "pkcs12")]
mod ber;
mod client;
mod credential;
mod der;
mod jwt;
mod key;
mod load;
#[cfg(feature = "encrypted")]
mod pbe;
#[cfg(feature = "pkcs12")]
mod pbe12;
mod pem;
#[cfg(feature = "pkcs12")]
mod pkcs12;
mod signer;
mod x509;

pub use self::{
    client::{ClientCertificate, ClientCertificateBuilder},
    credential::{CertificateCredential, CertificateCredentialBuilder},
    signer::{Signer, SigningAlgorithm},
};

/// Facts that the compiler checks.
const _: () = {
    const fn credential<T: identity_core::TokenCredential + Clone + 'static>() {}
    credential::<CertificateCredential>();
    const fn proof<T: identity_oauth::ClientAuthentication + Clone + 'static>() {}
    proof::<ClientCertificate>();
    const fn object_safe<T: ?Sized + Send + Sync>() {}
    object_safe::<dyn Signer>();
    assert!(size_of::<CertificateCredential>() == size_of::<usize>());
    assert!(size_of::<ClientCertificate>() == size_of::<usize>());
};
