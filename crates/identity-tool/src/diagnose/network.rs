//! The way to the authority, and what its clock says.

use std::time::{Duration, SystemTime};

use identity::{Platform, TransportOptions, http};
use identity_core::date::parse_http_date;

use super::{
    address,
    report::{Network, Reached},
};

/// Asks the authority once. `given` is that of the command line.
pub(super) async fn look(
    platform: &Platform,
    options: &TransportOptions,
    given: Option<&str>,
    is_emulated: bool,
) -> Network {
    let authority = authority(platform, given, is_emulated);
    let host = authority.as_deref().unwrap_or_default().trim_start_matches(HTTPS);
    let host = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(host, _)| host);
    let proxy = match host {
        "" => Ok(None),
        host => options.proxy_for(host).map_err(|error| error.to_string()),
    };
    let roots = options.count_roots().map_err(|error| error.to_string());
    let answer = match &authority {
        Ok(authority) => ask(platform, authority).await,
        Err(_) => Err("not asked".to_owned()),
    };
    Network { authority, proxy, roots, answer }
}

/// Who would be asked for tokens.
fn authority(platform: &Platform, given: Option<&str>, is_emulated: bool) -> Result<String, String> {
    let variable = match given {
        Some(given) => Some(given.to_owned()),
        None => platform.env().text(AUTHORITY_HOST).map_err(|error| error.to_string())?,
    };
    let Some(text) = variable else {
        // It is of the real world.
        let none = "none: the emulator's managed identity needs no authority";
        return if is_emulated { Err(none.to_owned()) } else { Ok(PUBLIC.to_owned()) };
    };
    let origin = address::origin(text.trim(), Some("https")).filter(|origin| origin.starts_with(HTTPS));
    let source = if given.is_some() { "--authority" } else { AUTHORITY_HOST };
    origin.ok_or_else(|| format!("{source} is neither a host nor an https URL"))
}

/// Any answer will do; this one is small and public.
async fn ask(platform: &Platform, authority: &str) -> Result<Reached, String> {
    let mut request = http::Request::new(http::Method::Get, format!("{authority}{WELL_KNOWN}"));
    (request.connect_timeout, request.timeout) = (PATIENCE, PATIENCE);
    request.body_limit = LARGEST;
    request.proxy = http::Proxy::Configured;
    let start = platform.clock().now();
    let response = platform.transport().send(request).await.map_err(|error| error.to_string())?;
    let took = platform.clock().now().monotonic.saturating_duration_since(start.monotonic);
    let server = response.header("date").and_then(parse_http_date);
    // Somewhere on its way.
    let here = start.wall.checked_add(took / 2).and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let here = here.and_then(|since| i64::try_from(since.as_secs()).ok());
    let clock_ahead = server.zip(here).map(|(server, here)| here.saturating_sub(server));
    Ok(Reached { status: response.status(), took, clock_ahead })
}

const AUTHORITY_HOST: &str = "AZURE_AUTHORITY_HOST";
const HTTPS: &str = "https://";
const PUBLIC: &str = "https://login.microsoftonline.com";
const WELL_KNOWN: &str = "/common/v2.0/.well-known/openid-configuration";
/// How long the authority may take. Source: our choice.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most of its answer that is read, in bytes. Source: our choice; it has two thousand.
const LARGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::overlay::Overlay;

    #[test]
    fn the_authority_is_that_of_the_option_then_the_variable_then_the_public_one() {
        for (given, variable, expected) in [
            (None, "", Some(PUBLIC)),
            (None, "login.microsoftonline.us", Some("https://login.microsoftonline.us")),
            (Some("https://127.0.0.1:8443/x"), "login.microsoftonline.us", Some("https://127.0.0.1:8443")),
            (None, "http://login.example", None),
            (None, "no host", None),
        ] {
            let real = identity::platform();
            let variables = vec![(AUTHORITY_HOST.to_owned(), variable.to_owned())];
            let platform = real.with_env(Arc::new(Overlay::new(variables, Arc::clone(real.env()))));
            assert_eq!(authority(&platform, given, false).ok().as_deref(), expected, "{given:?} {variable}");
        }
    }
}
