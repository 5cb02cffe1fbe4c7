//! The token protocol of Microsoft Entra ID, and no credentials: those are in other crates, and share this one.
//!
//! - [`Client`] asks the token endpoint: authority and tenant rules, discovery, regions, claims, retries, refusals.
//! - [`AppClient`] is a [`Client`] with a cache.
//! - [`Grant`] is what a token is given for; [`RefreshTokens`] gets further ones of the same people.
//! - [`ClientAuthentication`] is how a client proves who it is; [`ClientSecret`] is the simplest.
//! - [`Realm`] is who checks the password of a person.
//! - [`AzureAuthorityHosts`] names the clouds.
//! - [`Tenants`], [`advice()`] and [`needs_person`] are for those who reach Entra ID another way, say by a tool.
//!
//! # What is sent where
//!
//! One `POST` to `{authority}/{tenant}/oauth2/v2.0/token` (`{authority}/adfs/oauth2/token` for AD FS) for each token that is
//! not remembered, with at most three retries within 45 seconds. For an authority that is none of Microsoft's hosts one
//! `GET` to `https://login.microsoftonline.com/common/discovery/instance` before it, unless that is turned off. With
//! `tryautodetect` for a region, one `GET` to IMDS, and another one every five minutes while it does not tell. Before a
//! password is used, one `GET` to `{authority host}/common/userrealm/{user name}`. Nothing else: endpoints are not discovered.
//! All of it together takes 45 seconds at most.
//!
//! # Features
//!
//! None.
//!
//! # Security
//!
//! Redirects are not followed. Secrets and assertions are wiped when dropped, but for copies that hyper makes, and occur in
//! no `Debug`, no log and no error: what the server says is searched for them before it is shown.
#![forbid(unsafe_code)]

mod advice;
mod app;
mod auth;
mod authority;
mod challenge;
mod claims;
mod client;
mod discovery;
mod env;
mod grant;
mod options;
mod outcome;
mod realm;
mod refresh;
mod region;
mod route;
mod tenant;

#[cfg(test)]
mod tests;

pub use self::{
    advice::advice,
    app::AppClient,
    auth::{ClientAuthentication, ClientSecret, Proof, ProofRequest},
    authority::{AzureAuthorityHosts, KnownAuthorities},
    challenge::www_authenticate,
    client::Client,
    grant::{Grant, Granted, SamlVersion},
    options::ClientOptions,
    outcome::needs_person,
    realm::{Federation, Realm},
    refresh::RefreshTokens,
    route::Route,
    tenant::Tenants,
};
