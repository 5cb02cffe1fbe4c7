//! `--credential client-assertion`.

use std::{path::PathBuf, sync::Arc};

use identity::{
    Assertion, AssertionRequest, BoxFuture, ClientAssertionCredential, Error, ErrorKind, Links,
    ManagedIdentityCredential, Platform, Result, Secret, TokenAssertion,
};

use super::{Built, FEDERATED_TOKEN_FILE, application, settings::Settings};
use crate::cli::TokenArgs;

pub(super) fn build(args: &TokenArgs, platform: &Platform) -> Result<Built> {
    let mut settings = Settings::new(platform.env().as_ref());
    let (tenant, client) = application(&mut settings, args)?;
    let name = "client-assertion";
    let (builder, source) = if args.proof.assertion_from.is_some() {
        settings.done(name)?;
        let (assertion, source) = managed_assertion(args, platform)?;
        (ClientAssertionCredential::builder(tenant, client, assertion), Some(source))
    } else {
        let path = settings.path("assertion-file", args.proof.assertion_file.as_deref(), &[FEDERATED_TOKEN_FILE])?;
        settings.done(&format!("{name}, without --assertion-from,"))?;
        let assertion = AssertionFile { path, platform: platform.clone() };
        (ClientAssertionCredential::builder(tenant, client, assertion), None)
    };
    let credential = with_client_options!(builder, args).build_with(platform)?;
    Ok(Built { source, ..Built::new(Arc::new(credential)) })
}

/// The managed identity whose tokens are assertions, and its source.
fn managed_assertion(args: &TokenArgs, platform: &Platform) -> Result<(TokenAssertion, &'static str)> {
    let mut builder = ManagedIdentityCredential::builder();
    if let Some(id) = &args.proof.assertion_client_id {
        builder = builder.client_id(id);
    }
    if let Some(id) = &args.proof.assertion_object_id {
        builder = builder.object_id(id);
    }
    if let Some(id) = &args.proof.assertion_resource_id {
        builder = builder.resource_id(id);
    }
    if args.app.allow_remote_endpoint {
        builder = builder.allow_remote_endpoint();
    }
    let managed = builder.build_with(platform)?;
    let source = managed.source();
    let assertion = TokenAssertion::new(Arc::new(managed));
    Ok(match &args.proof.assertion_scope {
        Some(scope) => (assertion.scope(scope), source),
        None => (assertion, source),
    })
}

/// Reads the assertion from a file for each exchange, for whoever writes it writes it anew.
pub(super) struct AssertionFile {
    pub(super) path: PathBuf,
    pub(super) platform: Platform,
}

impl Assertion for AssertionFile {
    fn assertion<'a>(&'a self, _: &'a AssertionRequest<'a>) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(async move {
            let invalid = |what: &str| {
                let message = format!("the assertion file {}: {what}", self.path.display());
                Error::new(ErrorKind::InvalidArgument, message)
            };
            let bytes = self.platform.env().read(&self.path, LARGEST, Links::Follow);
            let bytes = bytes.map_err(|error| invalid("it cannot be read").with_source(error))?;
            let mut text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8 text"))?;
            // In place, so that no copy of it stays behind.
            text.truncate(text.trim_ascii_end().len());
            text.drain(..text.len() - text.trim_ascii_start().len());
            if text.is_empty() {
                return Err(invalid("it is empty; expected a JSON Web Token"));
            }
            Ok(Secret::new(text))
        })
    }
}

/// The most that is read of an assertion file, in bytes. Source: our choice; tokens have some thousand.
const LARGEST: usize = 64 * 1024;
