//! The same for credentials of people, and how an application proves who it is beside them.
#![expect(deprecated, reason = "what is deprecated has to work as well")]

use std::{
    fmt::Write as _,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use identity_certificate::ClientCertificate;
use identity_confidential::{
    AuthorizationCodeCredential, OnBehalfOfClient, OnBehalfOfCredential, UsernamePasswordCredential,
};
use identity_core::{Error, ErrorKind, Platform, Result, Secret};

use crate::{
    build::{Who, entra},
    case::{Builder, Folder},
};

/// Tells a builder each proof of who the application is that the case has.
macro_rules! proofs {
    ($builder:expr, $folder:expr, $platform:expr) => {{
        let (mut builder, folder, platform): (_, &Folder, &Platform) = ($builder, $folder, $platform);
        let told = &folder.case.credential;
        if let Some(secret) = &told.client_secret {
            builder = builder.client_secret(secret.as_str());
        }
        if !told.assertions.is_empty() {
            builder = builder.client_assertion(assertions(told));
        }
        if let Some(path) = &told.certificate_path {
            let certificate = ClientCertificate::builder().certificate_path(path).build_with(platform)?;
            builder = builder.client_authentication(Arc::new(certificate));
        }
        builder
    }};
}

/// Builds what the case describes; what the builder prints of itself is added to `visible`.
pub(crate) fn build_for_users(name: &str, folder: &Folder, platform: &Platform, visible: &mut String) -> Result<Who> {
    let told = &folder.case.credential;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (tenant, client) = (text(&told.tenant_id), text(&told.client_id));
    let mut show = |builder: &dyn std::fmt::Debug| {
        let _ = write!(visible, "{builder:?} {builder:#?}");
    };
    Ok(match name {
        "on-behalf-of" => {
            let builder = OnBehalfOfCredential::builder(tenant, client, text(&told.user_assertion));
            let builder = proofs!(entra!(builder, told), folder, platform);
            show(&builder);
            Who::One(Arc::new(builder.build_with(platform)?))
        }
        "on-behalf-of-client" => {
            let builder = proofs!(entra!(OnBehalfOfClient::builder(tenant, client), told), folder, platform);
            show(&builder);
            Who::Many(builder.build_with(platform)?)
        }
        "authorization-code" => {
            let (code, uri) = (text(&told.code), text(&told.redirect_uri));
            let builder = AuthorizationCodeCredential::builder(tenant, client, code, uri);
            let mut builder = proofs!(entra!(builder, told), folder, platform);
            if let Some(verifier) = &told.code_verifier {
                builder = builder.code_verifier(verifier.as_str());
            }
            show(&builder);
            Who::One(Arc::new(builder.build_with(platform)?))
        }
        "username-password" => {
            let (username, password) = (text(&told.username), text(&told.password));
            let mut builder = entra!(UsernamePasswordCredential::builder(client, username, password), told);
            if let Some(tenant) = &told.tenant_id {
                builder = builder.tenant_id(tenant);
            }
            show(&builder);
            Who::One(Arc::new(builder.build_with(platform)?))
        }
        other => panic!("no credential is called {other}"),
    })
}

/// Gives the assertions of the case one after the other, and the last one for ever.
pub(crate) fn assertions(told: &Builder) -> impl Fn() -> Ready<Result<Secret>> + Send + Sync + use<> {
    let (assertions, next) = (told.assertions.clone(), AtomicUsize::new(0));
    move || {
        let at = next.fetch_add(1, Ordering::Relaxed).min(assertions.len().saturating_sub(1));
        let assertion = assertions.get(at).map_or("", String::as_str);
        ready(match assertion.strip_prefix("error:") {
            Some(why) => Err(Error::new(ErrorKind::CredentialUnavailable, why)),
            None => Ok(Secret::new(assertion)),
        })
    }
}
