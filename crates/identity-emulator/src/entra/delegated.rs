//! What an application asks for in the name of a user.

use std::collections::BTreeMap;

use crate::directory::{App, IMPERSONATION, Tenant, plain};
use crate::endpoints::Refusal;
use crate::entra::known;
use crate::entra::scope::{check_resource, invalid, is_scope, resource_app};
use crate::entra::tenant::Realm;
use crate::shared::Shared;

/// The scopes of a request: one resource, and what to do there.
pub(crate) struct Wanted {
    /// As the client writes it.
    pub(crate) resource: String,
    /// Bare names, each with the word that the client wrote.
    names: Vec<(String, String)>,
    is_default: bool,
    /// True if there are words of OpenID Connect only.
    is_openid_alone: bool,
    pub(crate) openid: bool,
    pub(crate) profile: bool,
    pub(crate) email: bool,
    pub(crate) offline: bool,
}

/// What the application gets.
pub(crate) struct Granted {
    /// `scp` in the token.
    pub(crate) permissions: String,
    /// `scope` in the answer.
    pub(crate) scope: String,
}

impl Wanted {
    pub(crate) fn parse(scope: &str) -> Result<Self, Refusal> {
        let words = || scope.split(' ').filter(|word| !word.is_empty());
        let has = |name: &str| words().any(|word| word == name);
        if !is_scope(scope) || words().next().is_none() {
            return Err(invalid(scope));
        }
        let mut resources: Vec<&str> = Vec::new();
        let mut names: Vec<(String, String)> = Vec::new();
        for word in words().filter(|word| !OPENID.contains(word)) {
            // A word without a resource is one of Microsoft Graph.
            let (resource, name) = word.rsplit_once('/').unwrap_or((GRAPH, word));
            if name.is_empty() || resource.is_empty() || resource.ends_with(":/") || resource.ends_with(':') {
                return Err(invalid(scope));
            }
            if resources.first().is_some_and(|first| plain(first) != plain(resource)) {
                return Err(known(
                    28000,
                    format!(
                        "Provided value for the input parameter scope is not valid because it contains more than one resource. Scope \
                         {scope} is not valid."
                    ),
                ));
            }
            resources.push(resource);
            if !names.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                names.push((name.to_owned(), word.to_owned()));
            }
        }
        let is_openid_alone = names.is_empty();
        let before = names.len();
        names.retain(|(name, _)| name != ".default");
        let is_default = names.len() < before;
        if is_default && !names.is_empty() {
            return Err(mixed(scope));
        }
        Ok(Self {
            resource: resources.first().copied().unwrap_or(GRAPH).to_owned(),
            names,
            is_default,
            is_openid_alone,
            openid: has("openid"),
            profile: has("profile"),
            email: has("email"),
            offline: has("offline_access"),
        })
    }

    /// One for each resource: people may be asked for their consent to several at once.
    ///
    /// Source: "OAuth 2.0 authorization code flow", learn.microsoft.com.
    pub(crate) fn each(scope: &str) -> Result<Vec<Self>, Refusal> {
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for word in scope.split(' ').filter(|word| !word.is_empty() && !OPENID.contains(word)) {
            let resource = word.rsplit_once('/').map_or(GRAPH, |(resource, _)| resource);
            groups.entry(plain(resource)).or_default().push(word);
        }
        if groups.len() < 2 {
            return Ok(vec![Self::parse(scope)?]);
        }
        let all = groups.values().map(|words| Self::parse(&words.join(" "))).collect::<Result<Vec<_>, _>>()?;
        if all.iter().any(|wanted| wanted.is_default) && all.iter().any(|wanted| !wanted.is_default) {
            return Err(mixed(scope));
        }
        Ok(all)
    }

    /// The scope of a request with a grant, which need not name any if there is no doubt which resource is meant.
    pub(crate) fn named_or(scope: Option<&str>, granted: &str) -> Result<String, Refusal> {
        if scope.is_none() && Self::each(granted)?.len() > 1 {
            let text = "Provided value for the input parameter scope cannot be empty when requesting an access token using the provided \
                        authorization code. Please specify a valid scope.";
            return Err(known(28003, text));
        }
        Ok(scope.unwrap_or(granted).to_owned())
    }

    /// What the application may have of it.
    pub(crate) fn grant(
        &self,
        shared: &Shared,
        realm: &Realm<'_>,
        tenant: &Tenant,
        app: &App,
    ) -> Result<Granted, Refusal> {
        let Self { resource, .. } = self;
        let openid: Vec<&str> = [("openid", self.openid), ("profile", self.profile), ("email", self.email)]
            .into_iter()
            .filter_map(|(name, asked)| asked.then_some(name))
            .collect();
        if self.is_openid_alone {
            if !app.consented {
                return Err(no_consent(app));
            }
            // There is always a token: one for Microsoft Graph that allows no more than to see who somebody is.
            return Ok(Granted { permissions: openid.join(" "), scope: openid.join(" ") });
        }
        check_resource(shared, realm, tenant, app, resource)?;
        if resource_app(realm, tenant, resource).is_some_and(|other| other.client_id == app.client_id)
            && resource.to_ascii_lowercase().starts_with("api://")
        {
            return Err(known(
                90009,
                format!(
                    "Application '{}'({}) is requesting a token for itself. This scenario is supported only if resource is specified using \
                     the GUID based App Identifier.",
                    app.client_id, app.name
                ),
            ));
        }
        let exposed = Exposed::of(realm, tenant, resource);
        let consents = app.consents_at(resource);
        let is_consented = |name: &str| {
            consents.as_ref().is_none_or(|names| names.iter().any(|known| known.eq_ignore_ascii_case(name)))
        };
        let mut permissions: Vec<String> = Vec::new();
        let mut scope: Vec<String> = Vec::new();
        if self.is_default {
            permissions = match &consents {
                Some(names) => names.iter().map(|name| (*name).to_owned()).collect(),
                None => exposed.defaults(),
            };
            scope.extend(permissions.iter().map(|name| format!("{resource}/{name}")));
            scope.push(format!("{resource}/.default"));
        }
        for (name, word) in &self.names {
            match exposed.find(name).filter(|name| is_consented(name)) {
                Some(name) => permissions.push(name),
                None => return Err(no_consent(app)),
            }
            scope.push(word.clone());
        }
        if permissions.is_empty() {
            return Err(no_consent(app));
        }
        if plain(resource) == GRAPH {
            permissions.extend(openid.iter().map(|name| (*name).to_owned()));
        }
        scope.extend(openid.iter().map(|name| (*name).to_owned()));
        Ok(Granted { permissions: permissions.join(" "), scope: scope.join(" ") })
    }

    /// Refuses a resource that is not there, and a name that it does not have, in the words of the authorization endpoint.
    pub(crate) fn check_names(
        &self,
        shared: &Shared,
        realm: &Realm<'_>,
        tenant: &Tenant,
        app: &App,
    ) -> Result<(), Refusal> {
        if !self.is_openid_alone {
            check_resource(shared, realm, tenant, app, &self.resource)?;
        }
        let exposed = Exposed::of(realm, tenant, &self.resource);
        match self.names.iter().find(|(name, _)| exposed.find(name).is_none()) {
            None => Ok(()),
            Some((name, _)) => Err(known(
                650_053,
                format!(
                    "The application '{}' asked for scope '{name}' that doesn't exist on the resource '{}'. Contact the app vendor.",
                    app.name, self.resource
                ),
            )),
        }
    }
}

/// What users can allow at a resource.
enum Exposed<'a> {
    /// What it lists.
    Listed(Vec<&'a str>),
    /// Microsoft Graph: too much to list.
    Graph,
}

impl<'a> Exposed<'a> {
    fn of(realm: &Realm<'a>, tenant: &Tenant, resource: &str) -> Self {
        match resource_app(realm, tenant, resource) {
            Some(app) => Self::Listed(app.exposed()),
            None if plain(resource) == GRAPH => Self::Graph,
            None => Self::Listed(vec![IMPERSONATION]),
        }
    }

    fn find(&self, name: &str) -> Option<String> {
        match self {
            Self::Listed(names) => {
                names.iter().find(|known| known.eq_ignore_ascii_case(name)).map(|known| (*known).to_owned())
            }
            Self::Graph => is_graph_permission(name).then(|| name.to_owned()),
        }
    }

    /// What an administrator has consented to, if nobody says otherwise.
    fn defaults(&self) -> Vec<String> {
        match self {
            Self::Listed(names) => names.iter().map(|name| (*name).to_owned()).collect(),
            Self::Graph => vec!["User.Read".to_owned()],
        }
    }
}

/// True for what has the form of Microsoft Graph's names, such as `Mail.Read` and `Directory.AccessAsUser.All`.
fn is_graph_permission(name: &str) -> bool {
    let is_part = |part: &str| {
        part.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    (2..=5).contains(&name.split('.').count()) && name.split('.').all(is_part)
}

fn mixed(scope: &str) -> Refusal {
    known(
        70011,
        format!(
            "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid. .default scope can't be \
             combined with resource-specific scopes."
        ),
    )
}

fn no_consent(app: &App) -> Refusal {
    known(
        65001,
        format!(
            "The user or administrator has not consented to use the application with ID '{}' named '{}'. Send an interactive authorization \
             request for this user and resource.",
            app.client_id, app.name
        ),
    )
}

/// The scopes that name no resource.
pub(crate) const OPENID: [&str; 4] = ["openid", "profile", "offline_access", "email"];
/// Microsoft Graph, which scopes without a resource belong to.
pub(crate) const GRAPH: &str = "https://graph.microsoft.com";
