//! Authorization codes: the grant, and how a code comes to be.

use ring::digest;

use crate::directory::{App, Tenant, User};
use crate::endpoints::Refusal;
use crate::entra::client::Client;
use crate::entra::delegated::Wanted;
use crate::entra::discovery::own_host;
use crate::entra::form::Form;
use crate::entra::grants::{Code, Session, State, is_opaque, opaque};
use crate::entra::person::{check_account, check_factors, known_user, tenant_of};
use crate::entra::refresh::{malformed, revoked, unknown};
use crate::entra::tenant::Realm;
use crate::entra::user_token::{Delegation, no_randomness};
use crate::entra::{Issue, claims, known};
use crate::lock;
use crate::record::Request;
use crate::shared::Shared;
use crate::text::{base64_url, epoch_seconds};

/// Redeems a code.
pub(crate) fn issue(shared: &Shared, request: &Request, realm: &Realm<'_>, form: &Form) -> Result<Issue, Refusal> {
    let name = form.required("code")?;
    if !is_opaque(name) {
        return Err(malformed());
    }
    let redirect_uri = form.required("redirect_uri")?;
    let app = Client::named_anywhere(realm, request, form)?;
    Client::check_origin(request)?;
    let cae = !claims::capabilities(form.optional("claims"))?.is_empty();
    let found = lock(&shared.grants).codes.get(name).cloned();
    let Some(code) = found else { return Err(unknown()) };
    let session = &code.session;
    let tenant = realm.tenant.or_else(|| realm.directory.tenant(&session.tenant)).ok_or_else(unknown)?;
    let app = Client::find(realm, tenant, &app.client_id)?;
    let client = Client::authenticated_or_public(shared, app, tenant, realm, request, form)?;
    if session.client_id != app.client_id {
        return Err(known(70000, "Provided grant is invalid or malformed. It was issued to another client."));
    }
    if session.tenant != tenant.id {
        let text = "The provided Authorization Code is intended to use against other tenant, thus rejected.";
        return Err(known(700_005, text));
    }
    let now = epoch_seconds(shared.now(request.source));
    match code.state {
        State::Good if code.expires.is_none_or(|expires| now < expires) => {}
        State::Good | State::Expired => {
            let text = "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive \
                        authorization request for this user and resource.";
            return Err(known(70008, text));
        }
        State::Revoked(since) => return Err(revoked(session, since)),
        State::Used => {
            lock(&shared.grants).redeem(name, now);
            return Err(used());
        }
    }
    if redirect_uri != code.redirect_uri {
        return Err(known(
            500_112,
            format!(
                "The reply address '{redirect_uri}' does not match the reply address '{}' provided when requesting Authorization code.",
                code.redirect_uri
            ),
        ));
    }
    check_verifier(shared, app, code.challenge.as_deref(), form.optional("code_verifier"))?;
    let user = known_user(realm, &session.user, tenant)?;
    check_account(user)?;
    let scope = Wanted::named_or(form.optional("scope"), &session.scope)?;
    let wanted = Wanted::parse(&scope)?;
    check_factors(user, session.mfa, &wanted.resource, false)?;
    client.admitted()?;
    let is_refreshed = has_offline(&session.scope);
    let delegation = Delegation {
        shared,
        realm,
        host: own_host(shared, request),
        now,
        app,
        tenant,
        user,
        strength: client.strength,
        mfa: session.mfa,
        cae,
        nonce: code.nonce,
        wants_client_info: form.optional("client_info") == Some("1"),
        session: Some(code.session),
        is_refreshed,
    };
    let issue = delegation.issue(&wanted, &scope)?;
    // Last, so that no refusal uses it up, and a second use revokes what this one has got.
    if !lock(&shared.grants).redeem(name, now) {
        return Err(used());
    }
    if code.expires.is_none() {
        // Whoever reads the file next finds a good one. If it cannot be written, the old one says so.
        let _ = shared.write_code();
    }
    Ok(issue)
}

fn used() -> Refusal {
    let text = "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.";
    known(54005, text)
}

/// Checks the proof that whoever redeems a code is who asked for it (RFC 7636).
fn check_verifier(shared: &Shared, app: &App, challenge: Option<&str>, verifier: Option<&str>) -> Result<(), Refusal> {
    let is_right = match (challenge, verifier) {
        (None, None) if app.public && !shared.settings().pkce_is_optional => {
            let text = "Proof Key for Code Exchange is required for cross-origin authorization code redemption.";
            return Err(known(9_002_325, text));
        }
        (None, None) => true,
        (Some(challenge), Some(verifier)) => challenge_of(verifier).as_deref() == Some(challenge),
        _ => false,
    };
    if is_right {
        return Ok(());
    }
    let text = "The Code_Verifier does not match the code_challenge supplied in the authorization request.";
    Err(known(501_481, text))
}

/// The challenge of a verifier, if it is one: 43 to 128 letters, digits, `-`, `.`, `_` and `~`.
fn challenge_of(verifier: &str) -> Option<String> {
    let is_verifier = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    is_verifier.then(|| base64_url(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref()))
}

fn has_offline(scope: &str) -> bool {
    scope.split(' ').any(|word| word == "offline_access")
}

/// What a code is made for.
pub(crate) struct Ask<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) scope: &'a str,
    /// Of the method S256.
    pub(crate) challenge: Option<&'a str>,
    pub(crate) nonce: Option<&'a str>,
}

impl Ask<'_> {
    /// The application of that client id.
    pub(crate) fn client<'a>(realm: &Realm<'a>, client_id: &str) -> Result<&'a App, Refusal> {
        Client::find_anywhere(realm, client_id)
    }

    /// A request that cannot be answered at its redirect URI is refused here.
    pub(crate) fn check_client<'a>(&self, realm: &Realm<'a>) -> Result<&'a App, Refusal> {
        let app = Client::find_anywhere(realm, self.client_id)?;
        if self.redirect_uri.is_empty() {
            return Err(known(900_971, "No reply address provided."));
        }
        if app.redirect_uris.is_empty() {
            return Err(known(500_113, "No reply address is registered for the application."));
        }
        if !app.redirect_uris.iter().any(|known| is_same_uri(known, self.redirect_uri)) {
            return Err(known(
                50011,
                format!(
                    "The redirect URI '{}' specified in the request does not match the redirect URIs configured for the application '{}'. \
                     Make sure the redirect URI sent in the request matches one added to your application in the Azure portal. Navigate \
                     to https://aka.ms/redirectUriMismatchError to learn more about how to troubleshoot this error.",
                    self.redirect_uri, app.client_id
                ),
            ));
        }
        Ok(app)
    }

    /// Refuses a code challenge that no verifier can have: 43 letters of base64 for URLs.
    pub(crate) fn check_challenge(&self) -> Result<(), Refusal> {
        let is_url_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_one = |text: &str| text.len() == 43 && text.bytes().all(is_url_alphabet);
        if self.challenge.is_none_or(is_one) {
            return Ok(());
        }
        Err(known(501_491, "The size of the parameter 'code_challenge' is not valid."))
    }

    /// Refuses scopes that the application may not have for people of that tenant.
    pub(crate) fn check_scope(
        &self,
        shared: &Shared,
        realm: &Realm<'_>,
        tenant: &Tenant,
        app: &App,
    ) -> Result<(), Refusal> {
        for wanted in Wanted::each(self.scope)? {
            wanted.check_names(shared, realm, tenant, app)?;
            wanted.grant(shared, realm, tenant, app)?;
        }
        Ok(())
    }

    /// A new code for somebody who has signed in on the page; `lifetime_secs` is `None` for one that waits in a file.
    pub(crate) fn code(
        &self,
        shared: &Shared,
        realm: &Realm<'_>,
        app: &App,
        user: &User,
        lifetime_secs: Option<i64>,
    ) -> Result<String, Refusal> {
        self.check_challenge()?;
        let tenant = tenant_of(realm, user, app)?;
        check_account(user)?;
        let app = Client::find(realm, tenant, &app.client_id)?;
        self.check_scope(shared, realm, tenant, app)?;
        if app.blocked {
            return Err(crate::entra::canned(53003));
        }
        let now = epoch_seconds(shared.now(crate::source::Source::Entra));
        let code = Code {
            session: Session {
                user: user.object_id.clone(),
                client_id: app.client_id.clone(),
                tenant: tenant.id.clone(),
                scope: self.scope.to_owned(),
                // The page asks whom it has to for more than a password.
                mfa: user.mfa,
                family: shared.signer.random_guid().map_err(no_randomness)?,
                began: now,
            },
            redirect_uri: self.redirect_uri.to_owned(),
            challenge: self.challenge.map(str::to_owned),
            nonce: self.nonce.map(str::to_owned),
            expires: lifetime_secs.map(|seconds| now.saturating_add(seconds)),
            state: State::Good,
        };
        let name = opaque(&shared.signer).map_err(no_randomness)?;
        lock(&shared.grants).codes.put(name.clone(), code);
        Ok(name)
    }
}

/// True for the registered URI, and for a program's own machine at any port.
fn is_same_uri(known: &str, asked: &str) -> bool {
    known == asked
        || match (loopback(known), loopback(asked)) {
            (Some(known), Some(asked)) => known == asked,
            _ => false,
        }
}

/// The host and the path of a URI that leads to the machine itself, without a port.
///
/// Source: "Redirect URI (reply URL) best practices and limitations", learn.microsoft.com.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_loopback = ["localhost", "127.0.0.1"].contains(&host) && is_port;
    is_loopback.then_some((host, if path.is_empty() { "/" } else { path }))
}

/// How long a code can be redeemed, in seconds: ten minutes.
///
/// Source: "OAuth 2.0 authorization code flow", learn.microsoft.com.
pub(crate) const CODE_LIFETIME_SECS: i64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_that_of_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge_of(verifier).as_deref(), Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        assert_eq!(challenge_of(&verifier[1..]), None);
        assert_eq!(challenge_of(&"a".repeat(129)), None);
        assert_eq!(challenge_of(&" ".repeat(43)), None);
    }

    #[test]
    fn only_the_port_of_ones_own_machine_may_differ() {
        for (known, asked, is_same) in [
            ("http://localhost", "http://localhost", true),
            ("http://localhost", "http://localhost:8400", true),
            ("http://localhost", "http://localhost:8400/", true),
            ("http://localhost:1/a?b", "http://localhost:2/a?b", true),
            ("http://127.0.0.1", "http://127.0.0.1:65535", true),
            ("http://localhost", "http://localhost:8400/a", false),
            ("http://localhost", "http://127.0.0.1:8400", false),
            ("http://localhost", "http://localhost:8400@evil.example", false),
            ("http://localhost", "http://localhost:x", false),
            ("http://localhost", "http://localhost.evil.example", false),
            ("http://localhost", "https://localhost:8400", false),
            ("https://a.example", "https://a.example:8443", false),
            ("https://a.example/b", "https://a.example/b", true),
            ("https://a.example/b", "https://a.example/B", false),
            ("https://a.example/b", "https://a.example/b/", false),
        ] {
            assert_eq!(is_same_uri(known, asked), is_same, "{known} {asked}");
        }
    }
}
