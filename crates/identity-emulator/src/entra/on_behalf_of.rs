//! The grant of a service that acts for the user who has called it.

use crate::directory::{App, Tenant, User, plain};
use crate::endpoints::Refusal;
use crate::entra::assertion::malformed;
use crate::entra::client::Client;
use crate::entra::delegated::Wanted;
use crate::entra::discovery::own_host;
use crate::entra::form::{Form, missing_field};
use crate::entra::person::{check_account, check_factors, known_user, tenant_of};
use crate::entra::tenant::Realm;
use crate::entra::user_token::Delegation;
use crate::entra::{Issue, claims, known};
use crate::jwt::{Jwt, Key};
use crate::record::Request;
use crate::shared::Shared;
use crate::text::{decode_base64, epoch_seconds, hex, ticks};

pub(crate) fn issue(shared: &Shared, request: &Request, realm: &Realm<'_>, form: &Form) -> Result<Issue, Refusal> {
    let assertion = form.required("assertion")?;
    if form.required("requested_token_use")? != "on_behalf_of" {
        return Err(known(90100, "The parameter 'requested_token_use' is empty or not valid."));
    }
    let app = Client::named_anywhere(realm, request, form)?;
    let scope = form.optional("scope").ok_or_else(|| missing_field("scope"))?;
    let wanted = Wanted::parse(scope)?;
    let cae = !claims::capabilities(form.optional("claims"))?.is_empty();
    let jwt = Jwt::parse(assertion).filter(|jwt| jwt.header("alg").is_some()).ok_or_else(malformed)?;
    // A group of tenants leaves it to the assertion which one it is, and that is checked below.
    let named = jwt.claim("tid").and_then(|id| realm.directory.tenant(id));
    let tenant = realm.tenant.or(named).or(realm.directory.tenants.first()).ok_or_else(malformed)?;
    let app = Client::find(realm, tenant, &app.client_id)?;
    let client = Client::authenticated(shared, app, tenant, realm, request, form)?;
    let check = Check { shared, request, realm, tenant, app };
    let user = check.assertion(&jwt)?;
    let home = tenant_of(realm, user, app)?;
    check_account(user)?;
    let amr = jwt.claims.get("amr").and_then(serde_json::Value::as_array);
    let had_mfa = amr.is_some_and(|methods| methods.iter().any(|method| method == "mfa"));
    let mfa = had_mfa || user.mfa && claims::satisfy_policy(form.optional("claims"));
    check_factors(user, mfa, &wanted.resource, true)?;
    client.admitted()?;
    let delegation = Delegation {
        shared,
        realm,
        host: own_host(shared, request),
        now: epoch_seconds(shared.now(request.source)),
        app,
        tenant: home,
        user,
        strength: client.strength,
        mfa,
        cae,
        nonce: None,
        wants_client_info: form.optional("client_info") == Some("1"),
        session: None,
        is_refreshed: false,
    };
    delegation.issue(&wanted, scope)
}

/// What the token of the caller is checked against.
struct Check<'a, 'r> {
    shared: &'r Shared,
    request: &'r Request,
    realm: &'r Realm<'a>,
    tenant: &'r Tenant,
    app: &'r App,
}

impl<'a> Check<'a, '_> {
    /// The user whom the token is for.
    fn assertion(&self, jwt: &Jwt) -> Result<&'a User, Refusal> {
        self.signature(jwt)?;
        self.time(jwt)?;
        let audience = jwt.audience().unwrap_or_default();
        if plain(audience) != self.app.client_id.to_ascii_lowercase() {
            return Err(known(
                500_131,
                format!(
                    "Assertion audience does not match the Client app presenting the assertion. The audience in the assertion was \
                     '{audience}' and the expected audience is 'api://{id}' or one of the Application Uris of this application with App ID \
                     '{id}'({}). The downstream client must request a token for the expected audience (the application that made the OBO \
                     request) and this application should use that token as the assertion.",
                    self.app.name,
                    id = self.app.client_id,
                ),
            ));
        }
        let subject = jwt.claim("oid").unwrap_or_default();
        let is_own = jwt.claim("sub") == Some(subject) || jwt.claim("idtyp") == Some("app");
        if is_own && !subject.is_empty() {
            let caller = jwt.claim("appid").or(jwt.claim("azp")).unwrap_or_default();
            let text = format!("Application '{caller}' is not allowed to make application on-behalf-of calls.");
            return Err(known(7_000_114, text));
        }
        if jwt.claim("scp").is_none() {
            return Err(invalid("The token is not an access token of a user.", jwt));
        }
        known_user(self.realm, subject, self.tenant)
    }

    fn signature(&self, jwt: &Jwt) -> Result<(), Refusal> {
        let now = epoch_seconds(self.shared.now(self.request.source));
        let issuer = jwt.claim("iss").unwrap_or_default();
        let issued_by = self.realm.directory.own_tenant(issuer, &self.shared.hosts);
        let key = self.shared.signer.keys.published(now).find(|key| jwt.header("kid") == Some(key.id.as_str()));
        let (Some(key), Some(issued_by)) = (key, issued_by) else {
            return Err(invalid("The key was not found.", jwt));
        };
        let is_signed =
            jwt.header("alg") == Some("RS256") && jwt.is_signed_by(&Key::Parts(&key.public.n, &key.public.e));
        if !is_signed {
            return Err(invalid("The provided signature value did not match the expected signature value.", jwt));
        }
        if !self.tenant.is_called(issued_by) || jwt.claim("tid") != Some(self.tenant.id.as_str()) {
            return Err(invalid("The issuer of the token is another tenant.", jwt));
        }
        Ok(())
    }

    /// The time at which the token is good, give or take five minutes.
    fn time(&self, jwt: &Jwt) -> Result<(), Refusal> {
        let time = |name: &str| jwt.time(name).map_err(|_| malformed());
        let (expires, begins) = (time("exp")?.unwrap_or(0), time("nbf")?.unwrap_or(0));
        let clock = self.shared.now(self.request.source);
        let now = epoch_seconds(clock);
        if begins.saturating_sub(SKEW_SECS) <= now && now < expires.saturating_add(SKEW_SECS) {
            return Ok(());
        }
        // The year stays one of four digits.
        let since = std::time::Duration::from_secs(u64::try_from(expires).unwrap_or(0).min(253_402_300_799));
        let end = std::time::UNIX_EPOCH.checked_add(since).unwrap_or(std::time::UNIX_EPOCH);
        Err(known(
            500_133,
            format!(
                "Assertion is not within its valid time range. Ensure that the access token is not expired before using it for user \
                 assertion, or request a new token. Current time: {}, expiry time of assertion {}.",
                ticks(clock),
                ticks(end)
            ),
        ))
    }
}

/// Source: AzureAD/microsoft-authentication-library-for-dotnet, issue 1317.
fn invalid(reason: &str, jwt: &Jwt) -> Refusal {
    let thumbprint = jwt.header("kid").and_then(decode_base64).unwrap_or_default();
    let text = format!(
        "Assertion failed signature validation. [Reason - {reason}, Thumbprint of key used by client: '{}']",
        hex(&thumbprint).to_ascii_uppercase()
    );
    known(50013, text)
}

/// How wrong the clocks may be, in seconds.
const SKEW_SECS: i64 = 300;
