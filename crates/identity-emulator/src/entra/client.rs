//! Who asks: the application, and the proof that it is the one.

use crate::directory::{App, Tenant};
use crate::endpoints::Refusal;
use crate::entra::assertion::Check;
use crate::entra::form::{Form, missing};
use crate::entra::tenant::Realm;
use crate::entra::{canned, known};
use crate::record::Request;
use crate::shared::Shared;
use crate::source::Source;
use crate::text::{decode_base64, decode_percent};

/// An application that has proved who it is.
pub(crate) struct Client<'a> {
    pub(crate) app: &'a App,
    pub(crate) tenant: &'a Tenant,
    /// `appidacr` in tokens: 0 for a public client, 1 for a secret, 2 for an assertion.
    pub(crate) strength: &'static str,
}

impl<'a> Client<'a> {
    /// The application that a request for the tenant names, not yet authenticated.
    pub(crate) fn named(
        realm: &Realm<'a>,
        tenant: &'a Tenant,
        request: &Request,
        form: &Form,
    ) -> Result<&'a App, Refusal> {
        Self::find(realm, tenant, &id(request, form)?)
    }

    /// The application that a request names, of the tenant or, for a group of tenants, one that is in several.
    pub(crate) fn named_anywhere(realm: &Realm<'a>, request: &Request, form: &Form) -> Result<&'a App, Refusal> {
        Self::find_anywhere(realm, &id(request, form)?)
    }

    pub(crate) fn find_anywhere(realm: &Realm<'a>, client_id: &str) -> Result<&'a App, Refusal> {
        let Some(tenant) = realm.tenant else {
            return match realm.directory.any_app(client_id) {
                None => Err(unknown(client_id, &realm.name)),
                Some(app) if app.tenants.len() < 2 || realm.name == "consumers" => {
                    Err(no_tenant(&realm.name, client_id))
                }
                Some(app) => enabled(app),
            };
        };
        Self::find(realm, tenant, client_id)
    }

    pub(crate) fn find(realm: &Realm<'a>, tenant: &Tenant, client_id: &str) -> Result<&'a App, Refusal> {
        match realm.directory.app(client_id, tenant) {
            Some(app) => enabled(app),
            None => Err(unknown(client_id, &realm.name)),
        }
    }

    /// Refuses a redemption by a page in a browser, which only an application of a kind that is not played may do.
    ///
    /// Source: answers of the service in AzureAD/microsoft-authentication-library-for-js, issue 5196.
    pub(crate) fn check_origin(request: &Request) -> Result<(), Refusal> {
        let Some(origin) = request.header("origin") else { return Ok(()) };
        let text = format!(
            "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type. Request origin: '{origin}'."
        );
        Err(known(9_002_326, text))
    }

    /// Checks the proof that the request brings, which a public client has not.
    pub(crate) fn authenticated_or_public(
        shared: &Shared,
        app: &'a App,
        tenant: &'a Tenant,
        realm: &Realm<'a>,
        request: &Request,
        form: &Form,
    ) -> Result<Self, Refusal> {
        let shown = ["client_secret", "client_assertion"].iter().any(|name| form.optional(name).is_some());
        if app.public && !shown && basic(request)?.is_none() {
            return Ok(Self { app, tenant, strength: "0" });
        }
        Self::authenticated(shared, app, tenant, realm, request, form)
    }

    /// Checks the proof that the request brings.
    pub(crate) fn authenticated(
        shared: &Shared,
        app: &'a App,
        tenant: &'a Tenant,
        realm: &Realm<'a>,
        request: &Request,
        form: &Form,
    ) -> Result<Self, Refusal> {
        let basic = basic(request)?.map(|(_, secret)| secret);
        let secret = form.optional("client_secret").map(str::to_owned);
        let assertion = form.optional("client_assertion");
        if app.public && (secret.is_some() || basic.is_some() || assertion.is_some()) {
            return Err(known(
                700_025,
                "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
            ));
        }
        match (secret, basic, assertion) {
            (Some(secret), None, None) | (None, Some(secret), None) if request.source != Source::IdentityBinding => {
                Self::by_secret(shared, request, app, tenant, &secret)
            }
            (None, None, Some(assertion)) => {
                if form.required("client_assertion_type")? != ASSERTION_TYPE {
                    return Err(known(90100, "The parameter 'client_assertion_type' is empty or not valid."));
                }
                let directory = realm.directory;
                let (group, is_adfs) = (realm.group(), realm.is_adfs);
                let check = Check { shared, request, directory, tenant, group, app, is_adfs };
                check.assertion(assertion)?;
                Ok(Self { app, tenant, strength: "2" })
            }
            (Some(_), Some(_), None) => Err(several()),
            (_, _, None) if form.optional("grant_type") == Some("client_credentials") => Err(canned(7_000_216)),
            (_, _, None) => Err(canned(7_000_218)),
            _ => Err(several()),
        }
    }

    /// Refuses an application that a policy blocks.
    pub(crate) fn admitted(&self) -> Result<(), Refusal> {
        if self.app.blocked { Err(canned(53003)) } else { Ok(()) }
    }

    fn by_secret(
        shared: &Shared,
        request: &Request,
        app: &'a App,
        tenant: &'a Tenant,
        secret: &str,
    ) -> Result<Self, Refusal> {
        let Some(known_secret) = app.secrets.iter().find(|known| known.value == secret) else {
            return Err(known(
                7_000_215,
                format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the \
                     client secret ID, for a secret added to app '{}'.",
                    app.client_id
                ),
            ));
        };
        if known_secret.expires.is_some_and(|expires| expires <= shared.now(request.source)) {
            return Err(known(
                7_000_222,
                format!(
                    "The provided client secret keys for app '{}' are expired. Visit the Azure portal to create new keys for your app, \
                     or consider using certificate credentials for added security.",
                    app.client_id
                ),
            ));
        }
        Ok(Self { app, tenant, strength: "1" })
    }
}

/// The client id that a request names.
fn id(request: &Request, form: &Form) -> Result<String, Refusal> {
    let basic = basic(request)?;
    match (form.optional("client_id"), basic) {
        (Some(id), Some((other, _))) if !id.eq_ignore_ascii_case(&other) => {
            Err(known(90100, "The client ids of the request body and of the Authorization header differ."))
        }
        (Some(id), _) => Ok(id.to_owned()),
        (None, Some((id, _))) => Ok(id),
        (None, None) => Err(missing("client_id")),
    }
}

fn enabled(app: &App) -> Result<&App, Refusal> {
    if app.disabled {
        return Err(known(7_000_112, format!("Application '{}'({}) is disabled.", app.client_id, app.name)));
    }
    Ok(app)
}

fn unknown(client_id: &str, directory: &str) -> Refusal {
    known(
        700_016,
        format!(
            "Application with identifier '{client_id}' was not found in the directory '{directory}'. This can happen if the application \
             has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have \
             sent your authentication request to the wrong tenant."
        ),
    )
}

/// An application that is in one tenant signs in there, not at a group of them.
pub(crate) fn no_tenant(name: &str, client_id: &str) -> Refusal {
    if name == "consumers" {
        let text = format!(
            "Application '{client_id}' is configured for use by Azure Active Directory users only. Please do not use the /consumers \
             endpoint to serve this request."
        );
        return known(9_002_332, text);
    }
    let text = format!(
        "Application '{client_id}' is not configured as a multi-tenant application. Usage of the /{name} endpoint is not supported for \
         such apps created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant."
    );
    known(50194, text)
}

fn several() -> Refusal {
    known(90100, "The request must present one client credential, not several.")
}

/// Source: RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The client id and the secret of an Authorization header (RFC 6749, section 2.3.1).
fn basic(request: &Request) -> Result<Option<(String, String)>, Refusal> {
    let Some(value) = request.header("authorization") else { return Ok(None) };
    let decoded = value
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, text)| String::from_utf8(decode_base64(text.trim())?).ok());
    // Each is escaped by itself, so a letter that separates parts of a form is nothing special in either.
    let pair = decoded
        .as_deref()
        .and_then(|text| text.split_once(':'))
        .and_then(|(id, secret)| decode_percent(id).zip(decode_percent(secret)));
    match pair {
        Some(pair) => Ok(Some(pair)),
        None => Err(known(90100, "The Authorization header cannot be read.")),
    }
}
