//! The settings of Entra.

use std::path::PathBuf;

use crate::builder::Builder;
use crate::directory::{App, Subscription, Tenant, User};

impl Builder {
    /// Registers an application in Entra, or replaces the one of that client id.
    #[must_use]
    pub fn app(mut self, app: App) -> Self {
        self.extra.apps.push(app);
        self
    }

    /// Lets Entra know what is in this file (TOML), in place of what is built in; it is read again when it changes.
    ///
    /// [`Emulator::write_directory`](crate::Emulator::write_directory) writes one to start with. Its first tenant is home, in place of
    /// [`tenant_id`](Self::tenant_id). Other files that it names are read when it is.
    #[must_use]
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Adds a person to Entra, or replaces the one of that name.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.extra.users.push(user);
        self
    }

    /// Adds a subscription that Azure Resource Manager lists, or replaces the one of that id.
    #[must_use]
    pub fn subscription(mut self, subscription: Subscription) -> Self {
        self.extra.subscriptions.push(subscription);
        self
    }

    /// Lets Entra refuse an application that asks for the same token more than `count` times within five minutes, as the
    /// real service does at a rate of its own; the default is no limit.
    ///
    /// The answer is HTTP 429 in plain text with `Retry-After`, 60 seconds; for a user it is AADSTS50196.
    #[must_use]
    pub fn loop_limit(mut self, count: usize) -> Self {
        self.settings.loop_limit = Some(count);
        self
    }

    /// Sets how long a refresh token lives, in seconds; the default is 90 days (AADSTS700082 after that).
    #[must_use]
    pub fn refresh_token_lifetime_secs(mut self, seconds: u32) -> Self {
        self.settings.refresh_lifetime_secs = seconds.into();
        self
    }

    /// Lets Entra accept each refresh token once (AADSTS70008 after that).
    ///
    /// The real service gives a new one each time, too, but accepts the old one still.
    #[must_use]
    pub fn single_use_refresh_tokens(mut self) -> Self {
        self.settings.single_use_refresh_tokens = true;
        self
    }

    /// Lets public clients redeem authorization codes without a code verifier (PKCE).
    ///
    /// The default is to refuse that (AADSTS9002325); the real service does so for single page applications only.
    #[must_use]
    pub fn optional_pkce(mut self) -> Self {
        self.settings.pkce_is_optional = true;
        self
    }

    /// Adds a tenant to Entra, or replaces the one of that id.
    #[must_use]
    pub fn tenant(mut self, tenant: Tenant) -> Self {
        self.extra.tenants.push(tenant);
        self
    }

    /// Sets how long Entra's tokens live, in seconds; the default is 3,599.
    #[must_use]
    pub fn entra_lifetime_secs(mut self, seconds: u32) -> Self {
        self.settings.lifetime_secs = seconds.into();
        self
    }

    /// Sets `refresh_in` in Entra's answers, in seconds.
    ///
    /// The default is half of the lifetime for tokens that live two hours or longer, and none for others.
    #[must_use]
    pub fn refresh_in_secs(mut self, seconds: u32) -> Self {
        self.settings.refresh_in_secs = Some(seconds.into());
        self
    }

    /// Lets Entra send `expires_in` as a string of digits; the default is a number.
    #[must_use]
    pub fn expires_in_as_text(mut self) -> Self {
        self.settings.expires_in_text = true;
        self
    }

    /// Lets Entra refuse a client assertion, or a federated token, that it has seen before (AADSTS50012).
    ///
    /// It is known by its issuer and its `jti`, or by its content. The real service accepts each as often as it comes while it is
    /// valid, and the official SDKs send a federated token again for each scope.
    #[must_use]
    pub fn refuse_replayed_assertions(mut self) -> Self {
        self.settings.refuse_replays = true;
        self
    }

    /// Lets Entra refuse a client assertion whose base64 is padded (AADSTS50027), which RFC 7515 forbids.
    ///
    /// The real service accepts it, and azure-identity 1.27.0 for Python sends it in its asynchronous half.
    #[must_use]
    pub fn refuse_padded_assertions(mut self) -> Self {
        self.settings.refuse_padding = true;
        self
    }

    /// Trusts another issuer for federated credentials, by its key set (a JWKS).
    ///
    /// Azure Kubernetes Service, Azure Pipelines, GitHub Actions and Entra itself are trusted anyway, as
    /// far as the emulator plays them.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>, jwks: impl Into<String>) -> Self {
        self.extra.issuers.push((issuer.into(), jwks.into()));
        self
    }

    /// Adds a name to the certificate of Entra's listeners, such as `login.microsoftonline.com`, or `westus2.localhost` for
    /// clients that ask in a region.
    ///
    /// It has `localhost`, 127.0.0.1 and ::1 anyway. Entra answers whatever the `Host` header says.
    #[must_use]
    pub fn dns_name(mut self, name: impl Into<String>) -> Self {
        self.dns_names.push(name.into());
        self
    }

    /// Sets where the files go that clients read: certificates and tokens; it is made if it does not exist.
    ///
    /// Files of an earlier emulator are replaced there. If anything else has one of their names, the start fails.
    /// The default is a new directory below the system's one for temporary files, which goes when the emulator is dropped.
    #[must_use]
    pub fn files(mut self, directory: impl Into<PathBuf>) -> Self {
        self.files = Some(directory.into());
        self
    }
}
