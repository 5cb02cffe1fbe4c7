//! The authorization endpoint: a person signs in, and the application gets a code.

use std::borrow::Cow;

use crate::directory::{App, User};
use crate::endpoints::{Outcome, Refusal};
use crate::entra::code::{Ask, CODE_LIFETIME_SECS};
use crate::entra::delegated::Wanted;
use crate::entra::error::described;
use crate::entra::form::{Form, missing};
use crate::entra::grants::Step;
use crate::entra::page::{self, Page, SignIn, with_parameters};
use crate::entra::password::check_password;
use crate::entra::person::{check_account, no_account, tenant_of};
use crate::entra::tenant::Realm;
use crate::entra::user_token::{client_info, no_randomness};
use crate::entra::{claims, known};
use crate::lock;
use crate::record::Request;
use crate::shared::Shared;
use crate::text::{decode_form, epoch_seconds, percent};
use crate::token::sha256_hex;

/// Answers a browser.
pub(crate) fn authorize(shared: &Shared, request: &Request, realm: &Realm<'_>) -> Result<Outcome<'static>, Refusal> {
    if request.method != "GET" && request.method != "POST" {
        return Err(Refusal::new(405, "method_not_allowed", "The HTTP method is not allowed"));
    }
    let now = epoch_seconds(shared.now(request.source));
    let outcome = parameters(request).and_then(|(text, is_first)| {
        let query = Form::parse(&text)?;
        let asked = Asked::new(shared, request, realm, &query, &text, is_first)?;
        asked.outcome().or_else(|stop| match stop {
            Stop::Back(refusal) => asked.back(&refusal_fields(shared, request, &refusal)),
            Stop::Here(refusal) => Err(refusal),
        })
    });
    // Where it cannot be told to the application, it is told to the person.
    Ok(outcome.unwrap_or_else(|refusal| Outcome::Page(page::error(request, &refusal, now))))
}

/// The parameters of a request as a query, and whether it comes from the application, not from the page.
///
/// An application may send them as a form, too, or some of them so: OpenID Connect Core 1.0, section 3.1.2.1, and
/// AzureAD/microsoft-authentication-library-for-js, pull request 7920.
fn parameters(request: &Request) -> Result<(Cow<'_, str>, bool), Refusal> {
    if request.method == "GET" || request.query_value("client_id").is_some() {
        return Ok((Cow::Borrowed(&request.raw_query), request.method == "GET"));
    }
    Form::of(request)?;
    let pairs = request.form();
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value)));
    let parts: Vec<String> =
        Some(request.raw_query.clone()).into_iter().filter(|query| !query.is_empty()).chain(pairs).collect();
    Ok((Cow::Owned(parts.join("&")), true))
}

/// A request of an application that is known, with a redirect URI of its own.
struct Asked<'a> {
    shared: &'a Shared,
    request: &'a Request,
    realm: &'a Realm<'a>,
    query: &'a Form,
    /// The query as text.
    text: &'a str,
    /// True if nobody has filled in the page yet.
    is_first: bool,
    app: &'a App,
    ask: Ask<'a>,
    now: i64,
}

/// A refusal, and who is told.
enum Stop {
    /// The application.
    Back(Refusal),
    /// The person.
    Here(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Back(refusal)
    }
}

impl<'a> Asked<'a> {
    fn new(
        shared: &'a Shared,
        request: &'a Request,
        realm: &'a Realm<'a>,
        query: &'a Form,
        text: &'a str,
        is_first: bool,
    ) -> Result<Self, Refusal> {
        let ask = Ask {
            client_id: query.required("client_id")?,
            redirect_uri: query.optional("redirect_uri").unwrap_or_default(),
            scope: query.optional("scope").unwrap_or_default(),
            challenge: query.optional("code_challenge"),
            nonce: query.optional("nonce"),
        };
        let app = ask.check_client(realm)?;
        let now = epoch_seconds(shared.now(request.source));
        Ok(Self { shared, request, realm, query, text, is_first, app, ask, now })
    }

    fn outcome(&self) -> Result<Outcome<'static>, Stop> {
        self.check()?;
        if self.query.optional("abort").is_some() {
            return Err(known(65004, "User declined to consent to access the app.").into());
        }
        if self.query.optional("prompt") == Some("none") {
            return Err(known(50058, "A silent sign-in request was sent but no user is signed in.").into());
        }
        if self.is_first {
            return Ok(Outcome::Page(self.sign_in(self.query.optional("login_hint").unwrap_or_default(), None)));
        }
        // A page of somebody else must not sign anybody in.
        let own = self.request.header("host").map(|host| format!("https://{host}"));
        if self.request.header("origin").is_some_and(|origin| own.as_deref() != Some(origin)) {
            return Err(Stop::Here(known(90100, "The form was not sent by the page of this server.")));
        }
        let form = Form::of(self.request).map_err(Stop::Here)?;
        if let Some(ticket) = form.optional("ticket") {
            return self.second_step(ticket);
        }
        if let Some(name) = form.optional("pick") {
            return self.finish(self.find(name).map_err(Stop::Here)?);
        }
        let name = form.optional("loginfmt").unwrap_or_default();
        let password = form.optional("passwd").unwrap_or_default();
        let checked = self.find(name).and_then(|user| {
            check_account(user)?;
            tenant_of(self.realm, user, self.app)?;
            // Whoever AD FS knows would sign in there, and come back.
            check_password(user, password, true).map(|()| user)
        });
        match checked {
            Ok(user) if user.mfa => self.first_step(user),
            Ok(user) => self.finish(user),
            Err(refusal) => {
                let code = refusal.detail.code.map(|code| format!(" (AADSTS{code})")).unwrap_or_default();
                Ok(Outcome::Page(self.sign_in(name, Some(format!("{}{code}", refusal.message)))))
            }
        }
    }

    /// Refuses what a request asks for in vain, whoever signs in.
    fn check(&self) -> Result<(), Refusal> {
        let Self { query, ask, .. } = self;
        match query.optional("response_mode") {
            None | Some("query" | "fragment" | "form_post") => {}
            Some(other) => {
                let text = format!("'{other}' is not a supported value of 'response_mode' when requesting a token.");
                return Err(known(70007, text));
            }
        }
        match query.required("response_type")? {
            "code" => {}
            other => {
                // The part that would come without a code.
                let has = |name: &str| other.split(' ').any(|part| part == name);
                let (code, part) = match (has("token"), has("id_token")) {
                    (true, _) => (700_051, "token"),
                    (false, true) => (700_054, "id_token"),
                    (false, false) => (700_054, other),
                };
                return Err(known(code, format!("response_type '{part}' is not enabled for the application.")));
            }
        }
        if ask.scope.is_empty() {
            return Err(missing("scope"));
        }
        match (ask.challenge, query.optional("code_challenge_method")) {
            (None, None) => {}
            (Some(_), Some("S256")) => ask.check_challenge()?,
            // Our choice: the real service still takes `plain`, which protects nothing.
            _ => {
                let text =
                    "The parameter 'code_challenge_method' is empty or not valid: use S256, with a 'code_challenge'.";
                return Err(known(90100, text));
            }
        }
        match query.optional("prompt") {
            None | Some("none" | "login" | "consent" | "select_account") => {}
            Some(other) => return Err(known(90023, format!("Unsupported 'prompt' value: '{other}'."))),
        }
        claims::capabilities(query.optional("claims"))?;
        match self.realm.tenant {
            Some(tenant) => ask.check_scope(self.shared, self.realm, tenant, self.app),
            // Of which tenant a group is meant, only the person says.
            None => Wanted::each(ask.scope).map(drop),
        }
    }

    fn find(&self, name: &str) -> Result<&'a User, Refusal> {
        self.realm.directory.user(name).ok_or_else(|| no_account(name, &self.realm.name))
    }

    fn sign_in(&self, hint: &str, message: Option<String>) -> Page {
        let can_come = |user: &&User| !user.disabled && tenant_of(self.realm, user, self.app).is_ok();
        let note = |user: &User| match (user.mfa, user.federated, user.must_change_password) {
            (true, _, _) => "with a second factor",
            (_, true, _) => "known to AD FS",
            (_, _, true) => "with a password that has expired",
            _ => "",
        };
        let people = self.realm.directory.users.iter().filter(can_come).take(MAX_OFFERED);
        SignIn {
            query: self.text,
            app: &self.app.name,
            hint,
            people: people.map(|user| (user.name.as_str(), note(user))).collect(),
            message,
        }
        .page()
    }

    /// What the application has asked for, and of whom, however it is escaped.
    fn fingerprint(&self) -> String {
        sha256_hex(&format!("{} {:?}", self.request.path, decode_form(self.text)))
    }

    /// The password was right, and is not enough.
    fn first_step(&self, user: &User) -> Result<Outcome<'static>, Stop> {
        let ticket = self.shared.signer.random_hex::<32>().map_err(no_randomness)?;
        let expires = self.now.saturating_add(CODE_LIFETIME_SECS);
        let step = Step { user: user.object_id.clone(), request: self.fingerprint(), expires };
        lock(&self.shared.grants).steps.put(ticket.clone(), step);
        Ok(Outcome::Page(page::second_factor(self.text, &user.name, &ticket)))
    }

    fn second_step(&self, ticket: &str) -> Result<Outcome<'static>, Stop> {
        let step = lock(&self.shared.grants).steps.take(ticket);
        let step = step.filter(|step| self.now < step.expires && step.request == self.fingerprint());
        let user = step.and_then(|step| self.realm.directory.user_of(&step.user));
        match user {
            Some(user) => self.finish(user),
            None => {
                let again = self.sign_in("", Some("That took too long. Sign in again.".to_owned()));
                Ok(Outcome::Page(again))
            }
        }
    }

    /// Sends the person back with a code.
    fn finish(&self, user: &User) -> Result<Outcome<'static>, Stop> {
        let Self { shared, realm, ask, .. } = self;
        let code = ask.code(shared, realm, self.app, user, Some(CODE_LIFETIME_SECS)).map_err(|refusal| {
            match refusal.detail.code {
                // A person or an administrator can do something about these, the application cannot.
                Some(50020 | 50034 | 50057 | 53003 | 700_016) => Stop::Here(refusal),
                _ => Stop::Back(refusal),
            }
        })?;
        let home = tenant_of(realm, user, self.app).map_err(Stop::Here)?;
        let mut fields = vec![("code", code)];
        if self.query.optional("client_info") == Some("1") {
            fields.push(("client_info", client_info(user, home)));
        }
        fields.push(("session_state", shared.signer.random_guid().map_err(no_randomness)?));
        self.back(&fields).map_err(Stop::Here)
    }

    /// The answer to the application, in the way that it has asked for.
    fn back(&self, fields: &[(&str, String)]) -> Result<Outcome<'static>, Refusal> {
        let mut fields = fields.to_vec();
        if let Some(state) = self.query.optional("state") {
            fields.push(("state", state.to_owned()));
        }
        let uri = self.ask.redirect_uri;
        Ok(match self.query.optional("response_mode") {
            Some("form_post") => Outcome::Page(page::form_post(uri, &fields)),
            mode => Outcome::Redirect(with_parameters(uri, &fields, mode == Some("fragment"))),
        })
    }
}

/// A refusal as an application reads it (RFC 6749, section 4.1.2.1).
fn refusal_fields(shared: &Shared, request: &Request, refusal: &Refusal) -> Vec<(&'static str, String)> {
    let error = if refusal.detail.suberror == Some("consent_required") { "consent_required" } else { refusal.code };
    vec![
        ("error", error.to_owned()),
        ("error_description", described(shared, request, refusal)),
        ("error_subcode", if refusal.code == "access_denied" { "cancel".to_owned() } else { String::new() }),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect()
}

/// How many people are offered at once.
const MAX_OFFERED: usize = 8;
