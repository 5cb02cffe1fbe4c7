//! The tokens of a user: for a resource, for the application itself, and to get more.

use ring::digest;
use serde_json::{Map, Value, json};

use crate::directory::{App, Tenant, User};
use crate::endpoints::Refusal;
use crate::entra::delegated::{Granted, Wanted};
use crate::entra::grants::{RefreshToken, Session, State, opaque};
use crate::entra::scope::resource_app;
use crate::entra::tenant::Realm;
use crate::entra::{Issue, known};
use crate::lock;
use crate::shared::Shared;
use crate::text::base64_url;

/// An application that acts for a user, both of which have proved who they are.
pub(crate) struct Delegation<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) realm: &'a Realm<'a>,
    /// At which Entra was asked.
    pub(crate) host: &'a str,
    /// In seconds since the Unix epoch.
    pub(crate) now: i64,
    pub(crate) app: &'a App,
    pub(crate) tenant: &'a Tenant,
    pub(crate) user: &'a User,
    /// `appidacr` in tokens.
    pub(crate) strength: &'static str,
    pub(crate) mfa: bool,
    /// True if the client says that it can handle claims challenges.
    pub(crate) cae: bool,
    pub(crate) nonce: Option<String>,
    pub(crate) wants_client_info: bool,
    /// The sign-in that this comes of; `None` for a new one.
    pub(crate) session: Option<Session>,
    /// True if there is a refresh token even if none is asked for.
    pub(crate) is_refreshed: bool,
}

impl Delegation<'_> {
    /// The answer to a request for this scope.
    pub(crate) fn issue(&self, wanted: &Wanted, scope: &str) -> Result<Issue, Refusal> {
        let Self { shared, realm, app, tenant, user, .. } = self;
        let granted = wanted.grant(shared, realm, tenant, app)?;
        if !shared.may_ask(format!("{} {} {} {}", tenant.id, app.client_id, user.object_id, granted.scope)) {
            return Err(known(
                50196,
                "The server terminated an operation because it encountered a client request loop. Please contact your app vendor.",
            ));
        }
        let mut fields = Map::new();
        fields.insert("token_type".to_owned(), "Bearer".into());
        fields.insert("scope".to_owned(), granted.scope.clone().into());
        if self.wants_client_info {
            fields.insert("client_info".to_owned(), client_info(user, tenant).into());
        }
        if wanted.offline || self.is_refreshed {
            fields.insert("refresh_token".to_owned(), self.refresh_token(scope)?.into());
        }
        Ok(Issue {
            claims: self.access_claims(wanted, &granted),
            token_field: "access_token",
            id_token: wanted.openid.then(|| self.id_claims(wanted)),
            fields,
            lifetime_secs: shared.settings().lifetime_secs,
        })
    }

    /// The claims of an access token, of the version that its resource wants.
    pub(crate) fn access_claims(&self, wanted: &Wanted, granted: &Granted) -> Map<String, Value> {
        let Self { realm, app, tenant, user, .. } = self;
        let resource = &wanted.resource;
        let resource_app = resource_app(realm, tenant, resource);
        let recipient = resource_app.map_or(resource, |app| &app.client_id);
        let amr: &[&str] = if self.mfa { &["pwd", "mfa"] } else { &["pwd"] };
        let claims = json!({
            "amr": amr,
            "name": user.display_name,
            "oid": user.object_id,
            "scp": granted.permissions,
            "sub": pairwise(user, recipient),
            "tid": tenant.id,
            "xms_cc": self.cae.then_some(["CP1"]),
        });
        let more = match resource_app.filter(|app| app.token_version == 2) {
            Some(audience) => json!({
                "aud": audience.client_id,
                "azp": app.client_id,
                "azpacr": self.strength,
                "iss": self.issuer(),
                "preferred_username": user.name,
                "ver": "2.0",
            }),
            None => json!({
                "acct": 0,
                "acr": "1",
                "appid": app.client_id,
                "appidacr": self.strength,
                "aud": resource,
                "idtyp": "user",
                "iss": format!("https://sts.windows.net/{}/", tenant.id),
                "unique_name": user.name,
                "upn": user.name,
                "ver": "1.0",
            }),
        };
        both(claims, more)
    }

    /// The claims of the token that tells the application who signed in.
    fn id_claims(&self, wanted: &Wanted) -> Map<String, Value> {
        let Self { app, tenant, user, .. } = self;
        let claims = json!({
            "aud": app.client_id,
            "email": wanted.email.then_some(&user.name),
            "iss": self.issuer(),
            "nonce": self.nonce,
            "sub": pairwise(user, &app.client_id),
            "tid": tenant.id,
            "ver": "2.0",
        });
        let more = if wanted.profile {
            json!({ "name": user.display_name, "oid": user.object_id, "preferred_username": user.name })
        } else {
            Value::Null
        };
        both(claims, more)
    }

    /// The issuer of tokens of version 2.0.
    fn issuer(&self) -> String {
        format!("https://{}/{}/v2.0", self.host, self.tenant.id)
    }

    /// What this sign-in is remembered as.
    pub(crate) fn session(&self, scope: &str) -> Result<Session, Refusal> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        Ok(Session {
            user: self.user.object_id.clone(),
            client_id: self.app.client_id.clone(),
            tenant: self.tenant.id.clone(),
            scope: scope.to_owned(),
            mfa: self.mfa,
            family: self.shared.signer.random_guid().map_err(no_randomness)?,
            began: self.now,
        })
    }

    fn refresh_token(&self, scope: &str) -> Result<String, Refusal> {
        let Self { shared, .. } = self;
        let name = opaque(&shared.signer).map_err(no_randomness)?;
        let token = RefreshToken {
            session: self.session(scope)?,
            cae: self.cae,
            expires: self.now.saturating_add(shared.settings().refresh_lifetime_secs),
            state: State::Good,
        };
        lock(&shared.grants).refresh_tokens.put(name.clone(), token);
        Ok(name)
    }
}

/// By what a client knows an account: base64url of JSON.
pub(crate) fn client_info(user: &User, home: &Tenant) -> String {
    base64_url(json!({ "uid": user.object_id, "utid": home.id }).to_string().as_bytes())
}

/// `sub`: another one for each recipient, as with the real service.
fn pairwise(user: &User, recipient: &str) -> String {
    let text = format!("{} {}", user.object_id, recipient.to_ascii_lowercase());
    base64_url(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// The fields of both that are not null.
fn both(one: Value, other: Value) -> Map<String, Value> {
    let fields = |value: Value| if let Value::Object(fields) = value { fields } else { Map::new() };
    [one, other].into_iter().flat_map(fields).filter(|(_, value)| !value.is_null()).collect()
}

pub(crate) fn no_randomness(error: std::io::Error) -> Refusal {
    Refusal::new(500, "server_error", error.to_string())
}
