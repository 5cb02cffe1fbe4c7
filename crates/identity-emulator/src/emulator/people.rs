//! What only people have.

use std::io;

use crate::cluster::{CODE, USER_ASSERTION};
use crate::directory::User;
use crate::emulator::Emulator;
use crate::entra::{Ask, CODE_LIFETIME_SECS};
use crate::source::Source;
use crate::users::UserFlow;

impl Emulator {
    /// Adds a person to Entra, or replaces the one of that name, at once.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if name, password, object id or tenant cannot work.
    pub fn put_user(&self, user: User) -> io::Result<()> {
        self.shared.directory.put_user(user)
    }

    /// An authorization code, as the sign-in page gives it to the application that has sent the user there.
    ///
    /// It is good once, for ten minutes. `challenge` is the code challenge (PKCE) of the method S256. A second factor is there if a
    /// policy demands one. No request is recorded.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] where the page would refuse, with Entra's code and words.
    pub fn authorization_code(
        &self,
        client_id: &str,
        redirect_uri: &str,
        scope: &str,
        user: &str,
        challenge: Option<&str>,
        nonce: Option<&str>,
    ) -> io::Result<String> {
        self.shared.code(&Ask { client_id, redirect_uri, scope, challenge, nonce }, user, Some(CODE_LIFETIME_SECS))
    }

    /// An access token of a user, as the application has got it: what a web API is called with, and then acts on behalf of.
    ///
    /// The user has given a password and nothing else, even if a policy now demands more. No request is recorded.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] where Entra would refuse, with its code and words.
    pub fn user_token(&self, client_id: &str, scope: &str, user: &str) -> io::Result<String> {
        self.shared.user_token(client_id, scope, user, None)
    }

    /// Revokes the refresh tokens, and the codes, of a user, or of everybody with `None` (AADSTS50173).
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if nobody has that name.
    pub fn revoke_refresh_tokens(&self, user: Option<&str>) -> io::Result<()> {
        self.shared.end_grants(user, true)
    }

    /// Lets the refresh tokens, and the codes, of a user, or of everybody with `None`, be too old (AADSTS700082).
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if nobody has that name.
    pub fn expire_refresh_tokens(&self, user: Option<&str>) -> io::Result<()> {
        self.shared.end_grants(user, false)
    }

    /// The environment variables of a program that acts for a person; none if the directory has nobody for it.
    ///
    /// The files are written at the start; where the directory has changed since then,
    /// [`check_user_variables`](Self::check_user_variables) writes them anew.
    /// The application has the secret `AZURE_CLIENT_SECRET`, or is a public one. `AZURE_USERNAME` and `AZURE_PASSWORD` are those of
    /// the official SDKs. `IDENTITY_USER_ASSERTION_FILE`, `IDENTITY_CODE_FILE` and `IDENTITY_REDIRECT_URI`
    /// are the emulator's own: no SDK has any for these. The code in the file is good until it is redeemed, and then replaced.
    #[must_use]
    pub fn user_variables(&self, flow: UserFlow) -> Vec<(String, String)> {
        let Some(cast) = self.shared.cast(flow) else { return Vec::new() };
        let file = |name: &str| self.shared.files.path(name).display().to_string();
        let secret = || cast.secret(&self.shared).unwrap_or_default().to_owned();
        let mut pairs = self.authority_variables(Source::Entra, &cast.app.client_id);
        match flow {
            UserFlow::OnBehalfOf => pairs
                .extend([("AZURE_CLIENT_SECRET", secret()), ("IDENTITY_USER_ASSERTION_FILE", file(USER_ASSERTION))]),
            UserFlow::AuthorizationCode => pairs.extend([
                ("AZURE_CLIENT_SECRET", secret()),
                ("IDENTITY_CODE_FILE", file(CODE)),
                ("IDENTITY_REDIRECT_URI", cast.redirect_uri().unwrap_or_default().to_owned()),
            ]),
            UserFlow::UsernamePassword => pairs
                .extend([("AZURE_USERNAME", cast.user.name.clone()), ("AZURE_PASSWORD", cast.user.password.clone())]),
        }
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Whether the directory has an application and a person for [`user_variables`](Self::user_variables); writes the file that
    /// they name anew.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if it has not, with what it lacks, and what the system says of the file.
    pub fn check_user_variables(&self, flow: UserFlow) -> io::Result<()> {
        if self.shared.cast(flow).is_some() {
            return match flow {
                UserFlow::OnBehalfOf => self.shared.write_user_assertion(),
                UserFlow::AuthorizationCode => self.shared.write_code(),
                UserFlow::UsernamePassword => Ok(()),
            };
        }
        let app = match flow {
            UserFlow::OnBehalfOf => "an application with a client secret that has not expired",
            UserFlow::AuthorizationCode => {
                "an application with a client secret that has not expired and a redirect URI"
            }
            UserFlow::UsernamePassword => "a public client",
        };
        let message = format!(
            "the directory has not, of the home tenant {}, both {app}, with consent to everything, and a person who needs a \
             password and nothing else",
            self.tenant_id()
        );
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }
}
