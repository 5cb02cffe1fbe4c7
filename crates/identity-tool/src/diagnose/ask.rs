//! Asks each credential of the chain as `DefaultAzureCredential` would, those behind the end of it, too.

use std::sync::Arc;

use identity::{
    AccessToken, ChainLink, DefaultAzureCredential, Error, ErrorKind, Platform, Result, TokenCredential, TokenFuture,
    TokenRequestOptions,
};

use super::{
    progress::Progress,
    report::{Link, Outcome, State, TokenFacts},
};
use crate::{claims, credentials::ChainOptions};

/// Every link of the chain, and what the chain itself would say.
pub(super) async fn ask(
    options: &ChainOptions<'_>,
    platform: &Platform,
    scope: &str,
    progress: &Progress,
) -> (Vec<Link>, Outcome) {
    let (chain, broken) = match build(options, platform) {
        Ok(built) => built,
        Err(error) => return (Vec::new(), Outcome::Fails(error)),
    };
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
    let claim = |name| claims.as_ref().and_then(|claims| claims::text(claims, name)).map(str::to_owned);
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
