//! The region whose endpoint is asked.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use identity_core::{
    Env, Error, ErrorKind, Moment, Platform, Result,
    answer::Body,
    gate::Turns,
    http::{Method, Reach, Request, Response},
    retry::{self, RetryPolicy, Verdict},
};
use tracing::debug;

use crate::{authority::is_region, env};

/// Which region, and how it is known.
#[derive(Debug)]
pub(crate) enum Region {
    /// The global endpoint.
    None,
    /// This one.
    Named(String),
    /// The one that this machine is in.
    Detected(Detection),
}

/// What was found out about where this machine is. A region is remembered for ever, that there is none for
/// [`ABSENCE_MEMORY`].
#[derive(Debug, Default)]
pub(crate) struct Detection {
    found: Mutex<Option<(Option<String>, Moment)>>,
    turns: Turns,
}

impl Region {
    /// What was chosen, else what the variables say.
    ///
    /// Source: msal 1.39.0, `application.py` (`_get_regional_authority`).
    pub(crate) fn choose(chosen: Option<&str>, env: &dyn Env) -> Result<Self> {
        let mut named = chosen.map(|text| ("the region", text.to_owned()));
        for variable in [env::REGIONAL_AUTHORITY_NAME, env::FORCE_REGION] {
            if named.is_none() {
                named = env.text(variable)?.map(|text| (variable, text));
            }
        }
        match named {
            None => Ok(Self::None),
            Some((_, text)) if ["tryautodetect", "true"].iter().any(|auto| text.eq_ignore_ascii_case(auto)) => {
                Ok(Self::Detected(Detection::default()))
            }
            Some((_, text)) if is_region(&text) => Ok(Self::Named(text)),
            Some((what, _)) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{what} is none; expected lower-case letters, digits and hyphens such as westus2, or tryautodetect"
                ),
            )),
        }
    }

    /// Whether it has to be found out.
    pub(crate) fn is_detected(&self) -> bool {
        matches!(self, Self::Detected(_))
    }

    /// The region to ask in. The first call may ask IMDS.
    pub(crate) async fn find(&self, platform: &Platform) -> Option<String> {
        match self {
            Self::None => None,
            Self::Named(region) => Some(region.clone()),
            Self::Detected(detection) => detection.find(platform).await,
        }
    }
}

impl Detection {
    async fn find(&self, platform: &Platform) -> Option<String> {
        if let Some(known) = self.known(platform) {
            return known;
        }
        let _turn = self.turns.take().await;
        if let Some(known) = self.known(platform) {
            return known;
        }
        let region = detect(platform).await.filter(|region| is_region(region));
        debug!(region, "the region of this machine");
        let now = platform.clock().now();
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some((region.clone(), now));
        region
    }

    fn known(&self, platform: &Platform) -> Option<Option<String>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let (region, since) = found.as_ref()?;
        let is_good = region.is_some() || platform.clock().now().since(since) < ABSENCE_MEMORY;
        is_good.then(|| region.clone())
    }
}

/// What the platform says about where this machine is; whatever goes wrong, nobody knows.
///
/// Source: msal 1.39.0, `region.py`; the time is our choice.
async fn detect(platform: &Platform) -> Option<String> {
    if let Ok(Some(region)) = platform.env().text(env::REGION_NAME) {
        return Some(region);
    }
    let url = "http://169.254.169.254/metadata/instance/compute?api-version=2021-02-01";
    let mut request = Request::new(Method::Get, url).header("metadata", "true");
    request.reach = Reach::LocalOnly;
    request.timeout = TIMEOUT;
    request.connect_timeout = request.timeout;
    request.body_limit = 256 * 1024;
    // A client of its own: whether it is told says nothing about managed identity, which shares the slots.
    let gate = platform.gates().gate(request.origin(), "region", IN_FLIGHT);
    let policy = RetryPolicy { retries: 0, budget: TIMEOUT, ..RetryPolicy::METADATA };
    let judge = |_: &Response| Verdict::Final;
    let answer = retry::send(platform, &gate, &policy, &request, &judge).await.ok()?;
    let response = Some(answer.response).filter(|response| response.status() == 200)?;
    Body::parse(&["location"], response.body(), response.is_json()).text("location")
}

/// Source: our choice.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The most requests under way to IMDS. Source: as managed identity's.
const IN_FLIGHT: usize = 8;
/// As long as managed identity remembers that IMDS is not there. Source: our choice.
const ABSENCE_MEMORY: Duration = Duration::from_secs(300);
