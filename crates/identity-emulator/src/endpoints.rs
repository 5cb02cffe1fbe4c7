//! What the real services check, and what they say.

mod app_service;
mod arc;
mod azure_ml;
mod azure_pipelines;
mod cloud_shell;
mod github_actions;
mod imds;
mod service_fabric;

use serde_json::{Value, json};

use crate::entra::{self, Detail, Issue, Page};
use crate::identity::{IdKind, Identity};
use crate::record::Request;
use crate::shared::Shared;
use crate::source::Source;
use crate::text::decode_form;

pub(crate) use arc::Challenges;
pub(crate) use service_fabric::TokenStore;

/// What a service decides about a request.
pub(crate) enum Outcome<'a> {
    /// A token is issued.
    Token(Grant<'a>),
    /// A token of Entra, or of an issuer that it trusts.
    Issue(Box<Issue>),
    /// Another document.
    Json(Value),
    /// A plain text.
    Text(&'static str),
    /// A document of SOAP, with its status.
    Xml(u16, String),
    /// A page for a browser.
    Page(Page),
    /// A browser is sent there.
    Redirect(String),
    /// Azure Arc wants the content of the file in this realm.
    Challenge(String),
    /// The request is refused.
    Refusal(Refusal),
}

/// A token that may be issued.
pub(crate) struct Grant<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) resource: String,
    /// Fields that name the identity in the answer.
    pub(crate) named: Vec<(&'static str, String)>,
    /// The hash of a token that the client does not want again.
    pub(crate) unwanted: Option<String>,
}

/// A refusal: a status, a code of the service's own and a text for people.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// What Entra adds.
    pub(crate) detail: Box<Detail>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), detail: Box::default() }
    }

    fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request", message)
    }

    /// The body in which the source of the request says so.
    pub(crate) fn body(&self, shared: &Shared, request: &Request) -> Value {
        match request.source {
            Source::AppService | Source::AzureMl => {
                json!({ "statusCode": self.status, "message": self.message })
            }
            Source::ServiceFabric => json!({ "error": {
                "correlationId": "7e57ab1e-0000-4000-8000-00000000c0de",
                "code": self.code,
                "message": self.message,
            }}),
            Source::Imds | Source::AzureArc => {
                json!({ "error": self.code, "error_description": self.message })
            }
            Source::CloudShell => json!({ "error": { "code": self.code, "message": self.message } }),
            Source::Entra | Source::WorkloadIdentity | Source::IdentityBinding => entra::body(shared, request, self),
            Source::AzurePipelines => json!({ "typeKey": self.code, "message": self.message }),
            Source::GithubActions => json!({ "message": self.message }),
        }
    }
}

/// Asks the service behind `source`.
pub(crate) fn decide<'a>(shared: &'a Shared, request: &Request) -> Outcome<'a> {
    let decided = match request.source {
        Source::Imds => imds::decide(shared, request),
        Source::AppService => app_service::decide(shared, request),
        Source::AzureArc => arc::decide(shared, request),
        Source::ServiceFabric => service_fabric::decide(shared, request),
        Source::AzureMl => azure_ml::decide(shared, request),
        Source::CloudShell => cloud_shell::decide(shared, request),
        Source::Entra | Source::WorkloadIdentity | Source::IdentityBinding => entra::decide(shared, request),
        Source::AzurePipelines => azure_pipelines::decide(shared, request),
        Source::GithubActions => github_actions::decide(shared, request),
    };
    decided.unwrap_or_else(Outcome::Refusal)
}

/// The parameters of a request, of which none may be given twice.
struct Parameters<'a>(&'a [(String, String)]);

impl<'a> Parameters<'a> {
    /// The query of a `GET` on the token path; anything else is refused as the services do.
    fn of_token_request(request: &'a Request) -> Result<Self, Refusal> {
        Self::of_get(request, request.source.token_path())
    }

    fn of_get(request: &'a Request, path: &str) -> Result<Self, Refusal> {
        if request.path != path {
            return Err(Refusal::new(404, "not_found", "Not found"));
        }
        if request.method != "GET" {
            return Err(Refusal::new(405, "method_not_allowed", "The HTTP method is not allowed"));
        }
        if decode_form(&request.raw_query).is_none() {
            return Err(Refusal::invalid_request("The query string cannot be decoded"));
        }
        Ok(Self(&request.query))
    }

    /// The value, if there is exactly one and it is not empty.
    fn optional(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let mut values = self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) if !value.is_empty() => Ok(Some(value)),
            (Some(_), None) => Err(Refusal::invalid_request(format!("Query variable '{name}' is empty"))),
            (Some(_), Some(_)) => Err(Refusal::invalid_request(format!("Query variable '{name}' is given twice"))),
        }
    }

    fn api_version(&self, accepted: &[&str]) -> Result<(), Refusal> {
        match self.optional("api-version")? {
            Some(version) if accepted.contains(&version) => Ok(()),
            Some(version) => Err(Refusal::new(
                400,
                "InvalidApiVersion",
                format!("The api-version '{version}' is not supported; use one of {}", accepted.join(", ")),
            )),
            None => Err(Refusal::new(400, "InvalidApiVersion", "Required query variable 'api-version' is missing")),
        }
    }

    /// The resource, if the tenant knows it.
    fn resource(&self, shared: &Shared) -> Result<String, Refusal> {
        let Some(resource) = self.optional("resource")? else {
            return Err(Refusal::new(400, "ArgumentNullOrEmpty", "Required query variable 'resource' is missing"));
        };
        if shared.resources.knows(resource) {
            return Ok(resource.to_owned());
        }
        Err(Refusal::new(
            400,
            "invalid_resource",
            format!(
                "AADSTS500011: The resource principal named {resource} was not found in the tenant named {}. \
             This can happen if the application has not been installed by the administrator of the tenant \
             or consented to by any user in the tenant.",
                shared.signer.tenant_id()
            ),
        ))
    }

    /// The identity asked for, and the parameter that named it. Names that are not listed are ignored,
    /// as the services do: a misspelt one gets the identity of the machine.
    fn identity<'s>(
        &self,
        shared: &'s Shared,
        selectors: &[(&'static str, IdKind)],
        not_found: &str,
    ) -> Result<(&'s Identity, Option<&'static str>), Refusal> {
        let mut chosen = None;
        for &(name, kind) in selectors {
            if let Some(value) = self.optional(name)? {
                if chosen.is_some() {
                    return Err(Refusal::invalid_request("Only one of the identity parameters may be given"));
                }
                chosen = Some((name, kind, value));
            }
        }
        let found = match chosen {
            Some((name, kind, value)) => {
                shared.identities().find(|identity| identity.has(kind, value)).map(|identity| (identity, Some(name)))
            }
            None => shared.default_identity()?.map(|identity| (identity, None)),
        };
        found.ok_or_else(|| Refusal::invalid_request(not_found))
    }
}

/// The value of a header that must be there exactly once.
pub(crate) fn sole_header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut values = request.headers.iter().filter(|(other, _)| other == name);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value)
}

/// Refuses a request that a careless proxy or a tricked server could have been made to send.
fn require_metadata_header(request: &Request) -> Result<(), Refusal> {
    if request.header("x-forwarded-for").is_some() {
        return Err(Refusal::invalid_request("Requests with an X-Forwarded-For header are not allowed"));
    }
    match sole_header(request, "metadata") {
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(()),
        _ => Err(Refusal::invalid_request("Required metadata header not specified")),
    }
}

const NOT_FOUND: &str = "Identity not found";
