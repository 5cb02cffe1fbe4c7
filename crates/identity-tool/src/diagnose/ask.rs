//! Asks each credential of the chain as `DefaultAzureCredential` would, those behind the end of it, too.

use std::sync::Arc;

use identity::{
    AccessToken, ChainLink, DefaultAzureCredential, Error, ErrorKind, Platform, Result, TokenCredential, TokenFuture,
    TokenRequestOptions,
};

use super::{
    blank::Blanks,
    progress::Progress,
    report::{LONGEST_VALUE, Link, Outcome, State, TokenFacts, cut},
};
use crate::{
    claims,
    credentials::{ChainOptions, TOKEN_CREDENTIALS},
    overlay::{Overlay, Without},
};

/// Every link of the chain, and what the chain itself would say.
pub(super) struct Found {
    /// Whether the chain is refused for its variable; the links are those without it.
    pub(super) is_refused: bool,
    pub(super) links: Vec<Link>,
    pub(super) outcome: Outcome,
}

impl Found {
    /// Takes what may be a secret out of all errors.
    pub(super) fn blank(&mut self, blanks: &Blanks) {
        let links = std::mem::take(&mut self.links).into_iter();
        self.links = links.map(|link| Link { state: link.state.map(|error| blanks.error(error)), ..link }).collect();
        if let Outcome::Fails(error) = &mut self.outcome {
            *error = blanks.error(error);
        }
    }
}

/// Asks them all, whatever is wrong with the variable that chooses among them.
pub(super) async fn ask(options: &ChainOptions<'_>, platform: &Platform, scope: &str, progress: &Progress) -> Found {
    let error = match build(options, platform) {
        Ok((chain, broken)) => {
            let (links, outcome) = ask_all(options, platform, scope, progress, chain, broken).await;
            return Found { is_refused: false, links, outcome };
        }
        Err(error) => error,
    };
    let Some(error) = with_meant(platform, &error) else {
        return Found { is_refused: false, links: Vec::new(), outcome: Outcome::Fails(error) };
    };
    let without = platform.with_env(Arc::new(Without::new(TOKEN_CREDENTIALS, Arc::clone(platform.env()))));
    let links = match build(options, &without) {
        Ok((chain, broken)) => ask_all(options, &without, scope, progress, chain, broken).await.0,
        Err(_) => Vec::new(),
    };
    Found { is_refused: !links.is_empty(), links, outcome: Outcome::Fails(error) }
}

/// The error with what to do, if it is there for the value of the chain's variable.
fn with_meant(platform: &Platform, error: &Error) -> Option<Error> {
    let understands = |value: &str| {
        let variables = vec![(TOKEN_CREDENTIALS.to_owned(), value.to_owned())];
        let env = Overlay::new(variables, Arc::clone(platform.env()));
        DefaultAzureCredential::builder().build_with(&platform.with_env(Arc::new(env))).is_ok()
    };
    let value = platform.env().var_os(TOKEN_CREDENTIALS)?.to_string_lossy().into_owned();
    if understands(&value) {
        return None;
    }
    let names = ChainLink::ALL.iter().map(|link| link.name()).filter(|name| understands(name));
    let mut steps: Vec<String> = meant(&value, names.collect())
        .map(|name| format!("did you mean {name}? set {TOKEN_CREDENTIALS} to that"))
        .into_iter()
        .collect();
    steps.push(format!("unset {TOKEN_CREDENTIALS} to have all credentials tried"));
    Some(error.clone().with_steps(steps))
}

/// The name that somebody meant who wrote less than it, or it with hyphens; `None` if it may be several.
fn meant(value: &str, names: Vec<&'static str>) -> Option<&'static str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_', ' '], "").replace("credential", "");
    let wanted = plain(value.trim());
    let mut all = names.into_iter().filter(|name| wanted.len() >= LEAST_MEANT && plain(name).starts_with(&wanted));
    let first = all.next()?;
    let others: Vec<&str> = all.collect();
    (others.is_empty() || plain(first) == wanted).then_some(first)
}

async fn ask_all(
    options: &ChainOptions<'_>,
    platform: &Platform,
    scope: &str,
    progress: &Progress,
    chain: DefaultAzureCredential,
    broken: Vec<(ChainLink, Error)>,
) -> (Vec<Link>, Outcome) {
    let members: Vec<_> =
        chain.links().map(|(link, member)| (link, member.map(Arc::clone).map_err(str::to_owned))).collect();
    let request = TokenRequestOptions::new().with_context(chain.context());
    let (mut links, mut failures) = (Vec::new(), Vec::new());
    for (link, member) in members {
        let credential = match member {
            Ok(credential) => credential,
            Err(reason) => {
                let broken = broken.iter().find(|(other, _)| *other == link).map(|(_, error)| error.clone());
                let state = broken.map_or_else(|| left_out(options, link, reason), State::Broken);
                links.push(Link { link, state, took: None });
                continue;
            }
        };
        progress.show(&format!("asking {link}"));
        let start = platform.clock().now();
        let result = credential.get_token(&[scope], Some(&request)).await;
        let took = platform.clock().now().monotonic.saturating_duration_since(start.monotonic);
        let state = match result {
            Ok(token) => State::Token(Box::new(facts(&token))),
            Err(error) => {
                failures.push((link, error.clone()));
                judge(link, error)
            }
        };
        let took = (!matches!(state, State::NotInVersion(_))).then_some(took);
        links.push(Link { link, state, took });
    }
    progress.clear();
    let outcome = if let Some((_, error)) = broken.first() {
        Outcome::Fails(error.clone())
    } else {
        match links.iter().find(|link| link.state.is_the_end()) {
            Some(Link { link, state: State::Token(_), .. }) => Outcome::Wins(*link),
            _ => replay(options, platform, scope, failures).await,
        }
    };
    (links, outcome)
}

/// The chain without what cannot be built, and that with the reason.
fn build(options: &ChainOptions<'_>, platform: &Platform) -> Result<(DefaultAzureCredential, Vec<(ChainLink, Error)>)> {
    let mut broken: Vec<(ChainLink, Error)> = Vec::new();
    loop {
        let mut builder = options.builder(platform)?;
        for (link, _) in &broken {
            builder = builder.exclude(*link);
        }
        let error = match builder.build_with(platform) {
            Ok(chain) => return Ok((chain, broken)),
            Err(error) => error,
        };
        let culprit = ChainLink::ALL.iter().copied().find(|link| link.name() == error.credential());
        match culprit.filter(|culprit| broken.iter().all(|(link, _)| link != culprit)) {
            Some(link) => broken.push((link, error)),
            // Nothing is left: what was broken says more than that.
            None => return Err(broken.into_iter().next().map_or(error, |(_, first)| first)),
        }
    }
}

fn left_out(options: &ChainOptions<'_>, link: ChainLink, reason: String) -> State {
    State::LeftOut(if options.places.exclude.contains(&link) { "by --exclude".to_owned() } else { reason })
}

fn judge(link: ChainLink, error: Error) -> State {
    if !link.is_in_this_version() {
        State::NotInVersion(error)
    } else if error.is_unavailable() {
        State::Unavailable(error)
    } else {
        State::Stops(error)
    }
}

fn facts(token: &AccessToken) -> TokenFacts {
    let claims = claims::decode(token.secret());
    let claim =
        |name| claims.as_ref().and_then(|claims| claims::text(claims, name)).map(|text| cut(text, LONGEST_VALUE));
    TokenFacts {
        credential: token.credential(),
        origin: token.origin(),
        expires_on: token.expires_on(),
        audience: claim("aud"),
        user: claim("upn").or_else(|| claim("preferred_username")).or_else(|| claim("unique_name")),
        client_id: claim("appid").or_else(|| claim("azp")),
        object_id: claim("oid"),
        resource_id: claim("xms_mirid"),
        tenant_id: claim("tid"),
    }
}

/// What the chain says of these failures, with its advice: asked again, with what was answered already.
async fn replay(
    options: &ChainOptions<'_>,
    platform: &Platform,
    scope: &str,
    failures: Vec<(ChainLink, Error)>,
) -> Outcome {
    let mut builder = options.places();
    for (link, error) in failures {
        builder = builder.replace(link, Arc::new(Replay { link, error }));
    }
    let chain = match builder.build_with(platform) {
        Ok(chain) => chain,
        Err(error) => return Outcome::Fails(error),
    };
    match chain.get_token(&[scope], None).await {
        Err(error) => Outcome::Fails(error),
        // Those that failed have no token.
        Ok(_) => {
            Outcome::Fails(Error::new(ErrorKind::Protocol, "the chain found a token where its credentials had none"))
        }
    }
}

/// Says again what a credential said.
#[derive(Debug)]
struct Replay {
    link: ChainLink,
    error: Error,
}

impl TokenCredential for Replay {
    fn get_token<'a>(&'a self, _: &'a [&'a str], _: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        TokenFuture::ready(Err(self.error.clone()))
    }

    fn name(&self) -> &'static str {
        self.link.name()
    }
}

/// Fewer characters mean anything.
const LEAST_MEANT: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_whole_is_understood_if_it_is_one() {
        let names = || ChainLink::ALL.iter().map(|link| link.name()).collect();
        for (value, expected) in [
            ("azurecli", Some("AzureCliCredential")),
            (" Azure-CLI\n", Some("AzureCliCredential")),
            ("managedidentity", Some("ManagedIdentityCredential")),
            ("Managed", Some("ManagedIdentityCredential")),
            ("azure_developer_cli_credential", Some("AzureDeveloperCliCredential")),
            ("azure", None),
            ("ma", None),
            ("credential", None),
            ("hunter2", None),
        ] {
            assert_eq!(meant(value, names()), expected, "{value:?}");
        }
    }
}
