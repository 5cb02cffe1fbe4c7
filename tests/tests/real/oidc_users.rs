//! A certified OpenID provider gives our credentials tokens of people: by codes, by passwords, and for services that act for
//! them. It refuses what it should: it checks codes, challenges and who came by a token.
#![expect(deprecated, reason = "passwords are checked as well")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use identity_certificate::ClientCertificate;
use identity_confidential::{
    AuthorizationCodeCredential, OnBehalfOfClient, OnBehalfOfClientBuilder, UsernamePasswordCredential,
};
use identity_core::{
    AccessToken, BoxFuture, Error, ErrorKind, Secret,
    http::{Method, Request, Response},
    text,
};
use identity_oauth::{ClientAuthentication, Proof, ProofRequest};
use identity_tests::{find_secret, shown};
use serde_json::{Value, json};

use crate::oidc::{
    ADFS, ASSERTION_CLIENT, CERTIFICATE_CLIENT, Provider, RESOURCE, SECRET, SECRET_CLIENT, TENANT, ask, part, wait,
};

// As in oidc.mjs.
const PUBLIC_CLIENT: &str = "0dc00000-0000-4000-8000-0000000000a4";
const WEB: &str = "https://app.example/signed-in";
/// Of [`PUBLIC_CLIENT`], which is registered without the port.
const NATIVE: &str = "http://localhost:49152/signed-in";

/// As in oidc-users.mjs.
struct Person {
    sub: &'static str,
    name: &'static str,
    password: &'static str,
}
const ADA: Person =
    Person { sub: "sub-of-ada", name: "ada+lovelace@contoso.example", password: "pass word / of + ada & 100% é" };
const BOB: Person = Person { sub: "sub-of-bob", name: "bob@contoso.example", password: "another password=of bob" };

// Source: RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const OTHER_VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK";

const CODE: &str = "authorization_code";
const REFRESH: &str = "refresh_token";
const ON_BEHALF_OF: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const PASSWORD: &str = "password";
/// Whatever a resource demands: the provider does not look at it.
const CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#;
const OTHER_CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"2"}}}"#;

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn codes_and_rotated_refresh_tokens_satisfy_a_certified_provider() {
    let Some(mut provider) = Provider::start("oidc-code") else { return };
    for tenant in [TENANT, ADFS] {
        for (client_id, secret, redirect_uri) in [(SECRET_CLIENT, Some(SECRET), WEB), (PUBLIC_CLIENT, None, NATIVE)] {
            let code = provider.sign_in(tenant, &ADA, client_id, redirect_uri, RESOURCE);
            let credential = provider.code(tenant, client_id, secret, &code, redirect_uri, Some(VERIFIER));
            let first = ask(&credential, RESOURCE, None);
            provider.gave(tenant, client_id, &ADA, RESOURCE, CODE, &first);
            let remembered = ask(&credential, RESOURCE, None);
            assert_eq!(remembered.unwrap().secret(), first.unwrap().secret(), "nobody is asked");

            // Each is good for one use, so each time it must be the last one.
            let presented = [(); 3].map(|()| {
                let token = ask(&credential, RESOURCE, Some(CLAIMS));
                let seen = provider.gave(tenant, client_id, &ADA, RESOURCE, REFRESH, &token);
                seen["refresh_token"].as_str().unwrap().to_owned()
            });
            assert!(presented[0] != presented[1] && presented[1] != presented[2] && presented[2] != presented[0]);

            // Whoever presents an old one may have stolen it: the provider takes back what was granted.
            let old = &presented[0];
            assert_eq!(provider.presents(tenant, client_id, secret, old).status(), 400);
            assert_eq!(provider.told("invalid_grant")["detail"], "refresh token already used");
            let refused = ask(&credential, RESOURCE, Some(CLAIMS)).unwrap_err();
            let secrets = [SECRET, VERIFIER, &code].into_iter().chain(presented.iter().map(String::as_str));
            provider.refused(&refused, ErrorKind::AuthenticationRequired, "refresh token not found", secrets);
            assert_eq!(refused.scopes(), [format!("{RESOURCE}/.default")]);
            // Nothing is left that could be sent.
            let error = ask(&credential, RESOURCE, Some(OTHER_CLAIMS)).unwrap_err();
            assert_eq!((error.kind(), error.http_status()), (ErrorKind::AuthenticationRequired, None), "{error}");
            assert_eq!(error.claims(), Some(OTHER_CLAIMS));
        }
    }
    provider.saw(4 * 6);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn a_certified_provider_refuses_codes_that_are_not_ours_to_redeem() {
    let Some(mut provider) = Provider::start("oidc-refused-code") else { return };
    let code = provider.sign_in(TENANT, &ADA, SECRET_CLIENT, WEB, RESOURCE);
    let secrets = [SECRET, VERIFIER, OTHER_VERIFIER, &code];
    let web = |redirect_uri, verifier| (SECRET_CLIENT, Some(SECRET), redirect_uri, verifier);
    for ((client_id, secret, redirect_uri, verifier), detail) in [
        (web("https://app.example/signed-in/", Some(VERIFIER)), "redirect_uri mismatch"),
        (web(WEB, Some(OTHER_VERIFIER)), "code_verifier does not match code_challenge"),
        (web(WEB, None), "code_verifier must be provided"),
        ((PUBLIC_CLIENT, None, WEB, Some(VERIFIER)), "client mismatch"),
    ] {
        let credential = provider.code(TENANT, client_id, secret, &code, redirect_uri, verifier);
        let error = ask(&credential, RESOURCE, None).unwrap_err();
        provider.refused(&error, ErrorKind::AuthenticationFailed, detail, secrets);
    }
    let unknown = provider.code(TENANT, SECRET_CLIENT, Some(SECRET), "no-such-code", WEB, Some(VERIFIER));
    let error = ask(&unknown, RESOURCE, None).unwrap_err();
    provider.refused(&error, ErrorKind::AuthenticationFailed, "authorization code not found", secrets);

    // None of that used the code up; two who redeem it lose what was granted.
    let [first, second] =
        [(); 2].map(|()| provider.code(TENANT, SECRET_CLIENT, Some(SECRET), &code, WEB, Some(VERIFIER)));
    provider.gave(TENANT, SECRET_CLIENT, &ADA, RESOURCE, CODE, &ask(&first, RESOURCE, None));
    let error = ask(&second, RESOURCE, None).unwrap_err();
    provider.refused(&error, ErrorKind::AuthenticationFailed, "authorization code already consumed", secrets);
    let error = ask(&first, RESOURCE, Some(CLAIMS)).unwrap_err();
    provider.refused(&error, ErrorKind::AuthenticationRequired, "refresh token not found", secrets);
    provider.saw(8);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn services_act_for_people_at_a_certified_provider() {
    let Some(mut provider) = Provider::start("oidc-on-behalf-of") else { return };
    for client_id in [SECRET_CLIENT, CERTIFICATE_CLIENT, ASSERTION_CLIENT] {
        let service = provider.service(TENANT, client_id);
        let called = [&ADA, &BOB].map(|person| (person, provider.call(TENANT, person, client_id)));
        let credentials = called.each_ref().map(|(_, token)| service.credential(token.as_str()).unwrap());
        let mut tokens = Vec::new();
        for ((person, _), credential) in called.iter().zip(&credentials) {
            let token = ask(credential, RESOURCE, None);
            provider.gave(TENANT, client_id, person, RESOURCE, ON_BEHALF_OF, &token);
            tokens.push(token.unwrap());
        }
        // Another request of the same person, by another credential of the same service: nobody is asked.
        for ((_, called_with), token) in called.iter().zip(&tokens) {
            let again = service.credential(called_with.as_str()).unwrap();
            assert_eq!(ask(&again, RESOURCE, None).unwrap().secret(), token.secret());
        }
        // Twice, for refresh tokens are rotated here as well.
        for ((person, _), credential) in called.iter().zip(&credentials).cycle().take(4) {
            let token = ask(credential, RESOURCE, Some(CLAIMS));
            provider.gave(TENANT, client_id, person, RESOURCE, REFRESH, &token);
        }
        // With Entra ID a refresh token gets tokens of every resource; with this provider only the person's own token does.
        let token = ask(&credentials[0], VAULT, None);
        assert_eq!(provider.told("invalid_scope")["grant_type"], REFRESH);
        provider.gave(TENANT, client_id, &ADA, VAULT, ON_BEHALF_OF, &token);
    }
    provider.saw(3 * (2 + 2 + 4 + 2));
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn services_act_for_nobody_by_tokens_that_are_not_theirs() {
    let Some(mut provider) = Provider::start("oidc-refused-on-behalf-of") else { return };
    let called = provider.call(TENANT, &ADA, SECRET_CLIENT);
    let (head, claims) = (part(&called, 0), part(&called, 1));
    let with = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        changed
    };
    // The same claims again are as good: what is refused below is refused for what it changes.
    let good = provider.own.signed_as(&head, &claims);
    let service = provider.service(TENANT, SECRET_CLIENT);
    let token = ask(&service.credential(good).unwrap(), RESOURCE, None);
    provider.gave(TENANT, SECRET_CLIENT, &ADA, RESOURCE, ON_BEHALF_OF, &token);

    let of_the_service = ask(&provider.secret(TENANT, SECRET_CLIENT, SECRET), &api(SECRET_CLIENT), None).unwrap();
    assert_eq!(provider.told("token")["grant_type"], "client_credentials");
    let of_others = provider.call(TENANT, &ADA, CERTIFICATE_CLIENT);
    let elsewhere = provider.call(ADFS, &ADA, SECRET_CLIENT);
    let altered = {
        let parts: Vec<&str> = called.split('.').collect();
        let payload = text::base64url(with("sub", json!(BOB.sub)).to_string().as_bytes());
        [parts[0], &payload, parts[2]].join(".")
    };
    let own = |claims: &Value| provider.own.signed_as(&head, claims);
    let identity_token = json!({"alg": "RS256", "typ": "JWT", "kid": head["kid"]});
    let past = json!(claims["iat"].as_u64().unwrap() - 60);
    let cases = [
        (own(&with("exp", past)), r#""exp" claim timestamp check failed"#),
        (provider.signer.signed_as(&head, &claims), "signature verification failed"),
        (altered, "signature verification failed"),
        (provider.own.signed(&claims), r#""alg" (Algorithm) Header Parameter value not allowed"#),
        (provider.own.signed_as(&identity_token, &claims), r#"unexpected "typ" JWT header value"#),
        (of_others, r#"unexpected "aud" claim value"#),
        (elsewhere, r#"unexpected "iss" claim value"#),
        (of_the_service.secret().to_owned(), "the assertion is nobody's"),
        (own(&with("sub", json!("sub-of-nobody"))), "the assertion is nobody's"),
        ("opaque-token".to_owned(), "Invalid Compact JWS"),
        ("not.a.token".to_owned(), ""),
    ];
    for (assertion, detail) in &cases {
        let error = ask(&service.credential(assertion.as_str()).unwrap(), RESOURCE, None).unwrap_err();
        provider.refused(&error, ErrorKind::AuthenticationFailed, detail, [SECRET, assertion]);
    }
    provider.saw(1 + 1 + 1 + 2 + cases.len());
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn passwords_satisfy_a_certified_provider() {
    let Some(mut provider) = Provider::start("oidc-password") else { return };
    for tenant in [TENANT, ADFS] {
        for person in [&ADA, &BOB] {
            let credential = provider.password(tenant, person.name, person.password);
            let token = ask(&credential, RESOURCE, None);
            provider.told_realm(tenant, person);
            provider.gave(tenant, PUBLIC_CLIENT, person, RESOURCE, PASSWORD, &token);
            for _ in 0..2 {
                let token = ask(&credential, RESOURCE, Some(CLAIMS));
                provider.gave(tenant, PUBLIC_CLIENT, person, RESOURCE, REFRESH, &token);
            }
        }
        let wrong = provider.password(tenant, ADA.name, BOB.password);
        let error = ask(&wrong, RESOURCE, None).unwrap_err();
        provider.told_realm(tenant, &ADA);
        provider.refused(&error, ErrorKind::AuthenticationFailed, "wrong name or password", [BOB.password]);
        // The account would be locked sooner or later.
        let error = ask(&wrong, RESOURCE, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed, "{error}");
    }
    // AD FS is not asked who checks passwords.
    provider.saw(2 * (2 * 3 + 1) + 3);
}

impl Provider {
    /// Signs a person in as their browser would; the code that the application gets.
    fn sign_in(&self, tenant: &str, person: &Person, client_id: &str, redirect_uri: &str, resource: &str) -> String {
        let scope = format!("openid profile offline_access {resource}/.default");
        let query = text::form(&[
            ("client_id", client_id),
            ("response_type", "code"),
            ("redirect_uri", redirect_uri),
            ("scope", &scope),
            ("state", STATE),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            // OpenID Connect lets programs come back by themselves only if the person is asked.
            ("prompt", "consent"),
        ]);
        let wrong = [("name", person.name), ("password", "wrong password")];
        let right = [("name", person.name), ("password", person.password)];
        let mut browser = Browser { provider: self, cookies: BTreeMap::new() };
        let mut url = format!("{}?{query}", self.url(tenant, "authorize"));
        for _ in 0..5 {
            let response = if url.contains("/interaction/") {
                assert_eq!(browser.visit(&url, Some(&wrong)).status(), 401);
                browser.visit(&url, Some(&right))
            } else {
                browser.visit(&url, None)
            };
            let said = String::from_utf8_lossy(response.body());
            let location = response.header("location").unwrap_or_else(|| panic!("{url}: {said}"));
            if let Some(query) = location.strip_prefix(redirect_uri).and_then(|rest| rest.strip_prefix('?')) {
                let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
                assert_eq!(value("state"), Some(STATE), "{query}");
                assert_eq!(value("iss"), Some(text::percent_encode(&self.issuer(tenant)).as_str()), "{query}");
                return value("code").unwrap_or_else(|| panic!("{query}")).to_owned();
            }
            url = if location.starts_with('/') { self.origin.clone() + location } else { location.to_owned() };
        }
        panic!("redirects without end, the last one to {url}")
    }

    /// The token by which a person calls a service, who signs in to a program for that.
    fn call(&mut self, tenant: &str, person: &Person, service: &str) -> String {
        let code = self.sign_in(tenant, person, PUBLIC_CLIENT, NATIVE, &api(service));
        let credential = self.code(tenant, PUBLIC_CLIENT, None, &code, NATIVE, Some(VERIFIER));
        let token = ask(&credential, &api(service), None);
        self.gave(tenant, PUBLIC_CLIENT, person, &api(service), CODE, &token);
        token.unwrap().secret().to_owned()
    }

    fn code(
        &self,
        tenant: &str,
        client_id: &str,
        secret: Option<&str>,
        code: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
    ) -> AuthorizationCodeCredential {
        let mut builder = AuthorizationCodeCredential::builder(tenant, client_id, code, redirect_uri);
        if let Some(secret) = secret {
            builder = builder.client_secret(secret);
        }
        if let Some(verifier) = verifier {
            builder = builder.code_verifier(verifier);
        }
        builder.authority(&self.origin).disable_instance_discovery().build_with(&self.platform).unwrap()
    }

    /// A service that proves who it is in the way that the client is registered with.
    fn service(&self, tenant: &str, client_id: &str) -> OnBehalfOfClient {
        let builder: OnBehalfOfClientBuilder = OnBehalfOfClient::builder(tenant, client_id);
        let builder = match client_id {
            CERTIFICATE_CLIENT => {
                let certificate = ClientCertificate::builder().certificate_path(&self.app.pem);
                builder.client_authentication(Arc::new(Anew(certificate.build_with(&self.platform).unwrap())))
            }
            ASSERTION_CLIENT => {
                let (signer, audience) = (Arc::clone(&self.signer), self.url(tenant, "token"));
                let number = AtomicU32::new(0);
                builder.client_assertion(move || {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                    let exp = (now + Duration::from_secs(300)).as_secs();
                    let jti = format!("for people {}", number.fetch_add(1, Ordering::Relaxed));
                    let (iss, iat) = (ASSERTION_CLIENT, now.as_secs());
                    let claims = json!({"aud": audience, "iss": iss, "sub": iss, "jti": jti, "iat": iat, "exp": exp});
                    std::future::ready(Ok(Secret::new(signer.signed(&claims))))
                })
            }
            _ => builder.client_secret(SECRET),
        };
        builder.authority(&self.origin).disable_instance_discovery().build_with(&self.platform).unwrap()
    }

    fn password(&self, tenant: &str, name: &str, password: &str) -> UsernamePasswordCredential {
        let builder = UsernamePasswordCredential::builder(PUBLIC_CLIENT, name, password).tenant_id(tenant);
        builder.authority(&self.origin).disable_instance_discovery().build_with(&self.platform).unwrap()
    }

    /// Asks for a token with that refresh token, whoever it was given to.
    fn presents(&self, tenant: &str, client_id: &str, secret: Option<&str>, refresh_token: &str) -> Response {
        let mut form = vec![("grant_type", REFRESH), ("client_id", client_id), ("refresh_token", refresh_token)];
        form.extend(secret.map(|secret| ("client_secret", secret)));
        Browser { provider: self, cookies: BTreeMap::new() }.visit(&self.url(tenant, "token"), Some(&form))
    }

    fn url(&self, tenant: &str, endpoint: &str) -> String {
        let version = if tenant == ADFS { "" } else { "/v2.0" };
        format!("{}/{tenant}/oauth2{version}/{endpoint}", self.origin)
    }

    /// That it was a token of that person, for that resource, and what the provider tells of the request.
    fn gave(
        &mut self,
        tenant: &str,
        client_id: &str,
        person: &Person,
        resource: &str,
        grant_type: &str,
        token: &Result<AccessToken, Error>,
    ) -> Value {
        let told = self.seen();
        let token = token.as_ref().unwrap_or_else(|error| panic!("{told}: {}", shown(error)));
        let values = ["outcome", "client_id", "grant_type"].map(|name| &told[name]);
        assert_eq!(values, ["token", client_id, grant_type], "{told}");
        let claims = self.claims(tenant, token);
        assert_eq!(["sub", "aud", "client_id"].map(|name| &claims[name]), [person.sub, resource, client_id]);
        told
    }

    /// That it was refused for the reason that the provider keeps to itself, and none of the secrets is shown.
    fn refused<'a>(
        &mut self,
        error: &Error,
        kind: ErrorKind,
        detail: &str,
        secrets: impl IntoIterator<Item = &'a str>,
    ) {
        let text = shown(error);
        assert_eq!((error.kind(), error.http_status()), (kind, Some(400)), "{text}");
        assert!(error.to_string().contains("grant request is invalid"), "the provider's own words: {text}");
        let told = self.told("invalid_grant");
        assert_eq!(find_secret(&text, secrets), None, "{text}");
        assert_eq!(find_secret(&text, told["refresh_token"].as_str()), None, "{text}");
        assert!(told["detail"].as_str().is_some_and(|told| told.contains(detail)), "{told}, expected {detail}");
    }

    fn told(&mut self, outcome: &str) -> Value {
        let told = self.seen();
        assert_eq!(told["outcome"], outcome, "{told}");
        told
    }

    fn told_realm(&mut self, tenant: &str, person: &Person) {
        if tenant != ADFS {
            assert_eq!(self.told("managed")["name"], person.name);
        }
    }
}

/// Signs each time: Entra ID takes an assertion for as long as it is valid, this provider takes it once.
#[derive(Debug)]
struct Anew(ClientCertificate);

impl ClientAuthentication for Anew {
    fn prove<'a>(&'a self, request: &'a ProofRequest<'a>) -> BoxFuture<'a, Result<Proof, Error>> {
        let mut request = *request;
        request.renew = true;
        Box::pin(async move { self.0.prove(&request).await })
    }
}

/// Remembers cookies, but follows no redirect by itself.
struct Browser<'a> {
    provider: &'a Provider,
    cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    /// Gets a page, or sends it a form.
    fn visit(&mut self, url: &str, form: Option<&[(&str, &str)]>) -> Response {
        let mut request = Request::new(if form.is_some() { Method::Post } else { Method::Get }, url);
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded");
            request.body = Some(text::form(form).into());
        }
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", cookies.join("; "));
        }
        let response = wait(self.provider.platform.transport().send(request)).unwrap();
        for cookie in response.headers("set-cookie") {
            let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        response
    }
}

/// What tokens for that application are for.
fn api(client_id: &str) -> String {
    format!("api://{client_id}")
}

const STATE: &str = "state-of-a-test";
/// Another resource.
const VAULT: &str = "https://vault.azure.net";
