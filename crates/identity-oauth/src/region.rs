//! The region whose endpoint is asked.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use identity_core::{
    Env, Error, ErrorKind, Platform, Result,
    answer::Body,
    http::{Method, Reach, Request},
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
    /// The one that this machine is in; `None` until it was found out, then the region if there is one.
    Detected(Mutex<Option<Option<String>>>),
}

impl Region {
    /// What was chosen, else what the variables say.
    ///
    /// Source: msal 1.39.0, `application.py` (`_get_regional_authority`).
    pub(crate) fn choose(chosen: Option<&str>, env: &dyn Env) -> Result<Self> {
        let text = match chosen {
            Some(text) => Some(text.to_owned()),
            None => env
                .text(env::REGIONAL_AUTHORITY_NAME)?
                .map_or_else(|| env.text(env::FORCE_REGION), |text| Ok(Some(text)))?,
        };
        match text {
            None => Ok(Self::None),
            Some(text) if ["tryautodetect", "true"].iter().any(|auto| text.eq_ignore_ascii_case(auto)) => {
                Ok(Self::Detected(Mutex::default()))
            }
            Some(text) if is_region(&text) => Ok(Self::Named(text)),
            Some(_) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "the region, or {}, is none; expected lower-case letters, digits and hyphens such as westus2, or tryautodetect",
                    env::REGIONAL_AUTHORITY_NAME
                ),
            )),
        }
    }

    /// The region to ask in. The first call may ask IMDS.
    pub(crate) async fn find(&self, platform: &Platform) -> Option<String> {
        match self {
            Self::None => None,
            Self::Named(region) => Some(region.clone()),
            Self::Detected(found) => {
                let known = found.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(known) = known {
                    return known;
                }
                let region = detect(platform).await.filter(|region| is_region(region));
                debug!(region, "the region of this machine");
                *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(region.clone());
                region
            }
        }
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
    request.timeout = Duration::from_secs(2);
    request.connect_timeout = request.timeout;
    request.body_limit = 256 * 1024;
    let response = platform.transport().send(request).await.ok().filter(|response| response.status() == 200)?;
    Body::parse(&["location"], response.body(), response.is_json()).text("location")
}
