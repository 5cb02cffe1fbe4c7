//! What is handed to programs that act for people: tokens, codes, and who there is.

use std::fmt;
use std::io;

use crate::cluster::{CODE, LIFETIME, USER_ASSERTION};
use crate::directory::{App, Directory, PUBLIC_CLIENT_ID, USER_NAME, User, WEB_CLIENT_ID};
use crate::endpoints::Refusal;
use crate::entra::{Ask, Delegation, Realm, State, Wanted};
use crate::files::Kind;
use crate::lock;
use crate::shared::Shared;
use crate::source::Source;
use crate::text::epoch_seconds;

/// How a program acts for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UserFlow {
    /// A web API that a user has called calls another one for the same user.
    OnBehalfOf,
    /// A web application gets an authorization code from the browser of its user.
    AuthorizationCode,
    /// A program knows a user's name and password.
    UsernamePassword,
}

impl UserFlow {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::OnBehalfOf, Self::AuthorizationCode, Self::UsernamePassword];

    /// The name used on command lines, such as `on-behalf-of`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OnBehalfOf => "on-behalf-of",
            Self::AuthorizationCode => "authorization-code",
            Self::UsernamePassword => "username-password",
        }
    }
}

impl fmt::Display for UserFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// With whom a program can try a flow. It is never printed: there are secrets in it.
pub(crate) struct Cast {
    pub(crate) app: App,
    pub(crate) user: User,
}

impl Cast {
    /// The first secret that has not expired.
    pub(crate) fn secret(&self, shared: &Shared) -> Option<&str> {
        self.app.good_secret(shared.now(Source::Entra))
    }

    /// The first redirect URI.
    pub(crate) fn redirect_uri(&self) -> Option<&str> {
        self.app.redirect_uris.first().map(String::as_str)
    }
}

impl Shared {
    /// An application and a person for whom a flow works without anybody at a screen, the built-in ones first.
    pub(crate) fn cast(&self, flow: UserFlow) -> Option<Cast> {
        let directory = self.directory.last_good();
        let now = self.now(Source::Entra);
        let home = directory.tenants.first()?;
        let fits = |app: &&App| {
            let is_there = directory.app(&app.client_id, home).is_some() && !app.disabled && !app.blocked;
            let may_act = app.consented && app.consents.is_empty() && app.resources.is_empty();
            let has_secret = !app.public && app.good_secret(now).is_some();
            is_there
                && may_act
                && match flow {
                    UserFlow::OnBehalfOf => has_secret,
                    UserFlow::AuthorizationCode => has_secret && !app.redirect_uris.is_empty(),
                    UserFlow::UsernamePassword => app.public,
                }
        };
        let preferred = if flow == UserFlow::UsernamePassword { PUBLIC_CLIENT_ID } else { WEB_CLIENT_ID };
        let app = directory.any_app(preferred).filter(fits).or_else(|| directory.apps.iter().find(fits))?;
        let can_sign_in = |user: &&User| {
            let is_plain = !user.mfa && !user.federated && !user.disabled && !user.must_change_password;
            is_plain && directory.home_of(user).is_some_and(|tenant| tenant.id == home.id)
        };
        let user = directory.user(USER_NAME).filter(can_sign_in);
        let user = user.or_else(|| directory.users.iter().find(can_sign_in))?;
        Some(Cast { app: app.clone(), user: user.clone() })
    }

    /// Writes a token with which a user calls the application that acts on behalf of users.
    pub(crate) fn write_user_assertion(&self) -> io::Result<()> {
        let Some(Cast { app, user }) = self.cast(UserFlow::OnBehalfOf) else { return Ok(()) };
        // Whatever called it: the application itself will do, and is there.
        let scope = format!("{}/.default", app.client_id);
        let lifetime = i64::try_from(LIFETIME.as_secs()).unwrap_or(i64::MAX);
        let token = self.user_token(&app.client_id, &scope, &user.name, Some(lifetime))?;
        self.write_file(USER_ASSERTION, &token, Kind::UserToken)
    }

    /// Writes an authorization code that is good until it is redeemed.
    pub(crate) fn write_code(&self) -> io::Result<()> {
        let Some(cast) = self.cast(UserFlow::AuthorizationCode) else { return Ok(()) };
        let ask = Ask {
            client_id: &cast.app.client_id,
            redirect_uri: cast.redirect_uri().unwrap_or_default(),
            scope: "openid profile offline_access",
            challenge: None,
            nonce: None,
        };
        let code = self.code(&ask, &cast.user.name, None)?;
        self.write_file(CODE, &code, Kind::Code)
    }

    /// A code for somebody who has signed in on the page; `lifetime_secs` is `None` for one that waits in a file.
    pub(crate) fn code(&self, ask: &Ask<'_>, user: &str, lifetime_secs: Option<i64>) -> io::Result<String> {
        let directory = self.directory.last_good();
        let user = find(&directory, user)?;
        let realm = self.home_realm(&directory, user)?;
        let made = ask.check_client(&realm).and_then(|app| ask.code(self, &realm, app, user, lifetime_secs));
        made.map_err(|refusal| told(&refusal))
    }

    /// The access token of somebody who has signed in with a password alone, for that scope.
    pub(crate) fn user_token(
        &self,
        client_id: &str,
        scope: &str,
        user: &str,
        lifetime_secs: Option<i64>,
    ) -> io::Result<String> {
        let directory = self.directory.last_good();
        let user = find(&directory, user)?;
        let realm = self.home_realm(&directory, user)?;
        let now = epoch_seconds(self.now(Source::Entra));
        let make = || {
            let app = Ask::client(&realm, client_id)?;
            let tenant = realm.tenant.ok_or_else(|| Refusal::new(500, "server_error", "no tenant"))?;
            let wanted = Wanted::parse(scope)?;
            let granted = wanted.grant(self, &realm, tenant, app)?;
            let host = self.hosts.first().map_or("localhost", String::as_str);
            let delegation = Delegation {
                shared: self,
                realm: &realm,
                host,
                now,
                app,
                tenant,
                user,
                strength: if app.public { "0" } else { "1" },
                mfa: false,
                cae: false,
                nonce: None,
                wants_client_info: false,
                session: None,
                is_refreshed: false,
            };
            Ok(delegation.access_claims(&wanted, &granted))
        };
        let claims = make().map_err(|refusal: Refusal| told(&refusal))?;
        let lifetime = lifetime_secs.unwrap_or(self.settings().lifetime_secs);
        self.signer.sign_issue(&claims, now, now.saturating_add(lifetime))
    }

    /// Ends what a person, or everybody, has agreed to.
    pub(crate) fn end_grants(&self, user: Option<&str>, is_revoked: bool) -> io::Result<()> {
        let directory = self.directory.last_good();
        let user = user.map(|name| find(&directory, name)).transpose()?;
        let state = if is_revoked { State::Revoked(epoch_seconds(self.now(Source::Entra))) } else { State::Expired };
        lock(&self.grants).end(user.map(|user| user.object_id.as_str()), state);
        // The one in the file is for whoever comes next.
        self.write_code()
    }

    fn home_realm<'a>(&self, directory: &'a Directory, user: &User) -> io::Result<Realm<'a>> {
        let home = directory.home_of(user).map_or_else(|| self.signer.tenant_id(), |tenant| &tenant.id);
        Realm::find(directory, home).map_err(|refusal| told(&refusal))
    }
}

fn find<'a>(directory: &'a Directory, name: &str) -> io::Result<&'a User> {
    let none = || io::Error::new(io::ErrorKind::InvalidInput, format!("the directory has no user {name:?}"));
    directory.user(name).ok_or_else(none)
}

/// The refusal, for a caller in the same program.
fn told(refusal: &Refusal) -> io::Error {
    let code = refusal.detail.code.map(|code| format!("AADSTS{code}: ")).unwrap_or_default();
    io::Error::new(io::ErrorKind::InvalidInput, format!("{code}{}", refusal.message))
}
