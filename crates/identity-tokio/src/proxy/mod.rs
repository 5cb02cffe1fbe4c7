//! Which proxy a request goes through.

#[cfg(feature = "proxy")]
use std::sync::Arc;

use identity_core::{
    Env,
    http::{Proxy as Wish, Reach, Request},
};

use crate::{
    target::Target,
    transport::{Result, refused},
};

mod exceptions;
#[cfg(feature = "proxy")]
mod tunnel;
#[cfg(feature = "proxy")]
mod url;

#[cfg(feature = "proxy")]
pub(crate) use self::url::Proxy;

/// Nobody has one in a build without the feature.
#[cfg(not(feature = "proxy"))]
#[derive(Debug)]
pub(crate) enum Proxy {}

/// The proxy of a transport, and the hosts that are reached without it.
#[derive(Clone, Debug)]
pub(crate) struct Proxies {
    choice: Choice,
    /// Lists of them.
    exceptions: Vec<String>,
}

#[derive(Clone, Debug)]
enum Choice {
    None,
    #[cfg(feature = "proxy")]
    Use(Arc<Proxy>),
    /// A proxy is set that cannot be used; why is for the requests that would use it.
    Unusable(String),
}

impl Proxies {
    /// No proxy.
    pub(crate) fn none() -> Self {
        Self { choice: Choice::None, exceptions: Vec::new() }
    }

    /// This proxy for all hosts.
    #[cfg(feature = "proxy")]
    pub(crate) fn new(proxy: Proxy) -> Self {
        Self { choice: Choice::Use(Arc::new(proxy)), exceptions: Vec::new() }
    }

    /// The same without a proxy for these hosts, too.
    #[cfg(feature = "proxy")]
    pub(crate) fn except(mut self, list: String) -> Self {
        self.exceptions.push(list);
        self
    }

    /// The proxy of the environment, lower case before upper case, the one for `https` before the one for all.
    ///
    /// Source: curl 7.88.1, which looks in the same order.
    pub(crate) fn from_env(env: &dyn Env) -> Self {
        let first =
            |names: &[&'static str]| names.iter().find_map(|&name| env.text(name).transpose().map(|text| (name, text)));
        let (name, text) = match first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]) {
            None => return Self::none(),
            Some((name, text)) => (name, text.map(identity_core::Secret::new)),
        };
        let choice = match text {
            Err(error) => Choice::Unusable(error.to_string()),
            #[cfg(feature = "proxy")]
            Ok(text) => match Proxy::parse(text.expose()) {
                Ok(proxy) => Choice::Use(Arc::new(proxy)),
                Err(why) => Choice::Unusable(format!("the environment variable {name}: {why}")),
            },
            #[cfg(not(feature = "proxy"))]
            Ok(_) => Choice::Unusable(format!(
                "the environment variable {name} sets a proxy, which this build cannot use: turn on the feature `proxy`, or list the host in NO_PROXY"
            )),
        };
        match first(&["no_proxy", "NO_PROXY"]) {
            None => Self { choice, exceptions: Vec::new() },
            Some((_, Ok(list))) => Self { choice, exceptions: vec![list] },
            Some((_, Err(error))) => Self { choice: Choice::Unusable(error.to_string()), exceptions: Vec::new() },
        }
    }

    /// The proxy for this request, if it may and must have one.
    pub(crate) fn choose(&self, request: &Request, target: &Target<'_>) -> Result<Option<&Proxy>> {
        // Plain HTTP has none, and what is for local addresses only has no business with one, whatever is asked for.
        if !target.secure || request.proxy != Wish::Configured || request.reach == Reach::LocalOnly {
            return Ok(None);
        }
        match &self.choice {
            Choice::None => Ok(None),
            _ if self.exceptions.iter().any(|list| exceptions::matches(list, target.host)) => Ok(None),
            #[cfg(feature = "proxy")]
            Choice::Use(proxy) => Ok(Some(proxy)),
            Choice::Unusable(why) => Err(refused(&**why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use identity_core::{
        fakes::FakeEnv,
        http::{Method, TransportErrorKind},
    };

    use super::*;

    /// What a request to this host does with these variables: its proxy, if any, or why it is refused.
    fn chosen(variables: &[(&str, &str)], host: &str) -> std::result::Result<Option<String>, String> {
        let proxies = Proxies::from_env(&FakeEnv::new(variables));
        let url = format!("https://{host}/");
        let mut request = Request::new(Method::Get, &url);
        let target = Target::parse(&url).unwrap();
        for (wish, reach) in [(Wish::Never, Reach::Any), (Wish::Configured, Reach::LocalOnly)] {
            (request.proxy, request.reach) = (wish, reach);
            assert!(proxies.choose(&request, &target).unwrap().is_none());
        }
        (request.proxy, request.reach) = (Wish::Configured, Reach::Any);
        match proxies.choose(&request, &target) {
            Ok(proxy) => Ok(proxy.map(|proxy| format!("{proxy:?}"))),
            Err(error) => {
                assert_eq!(error.kind(), TransportErrorKind::Refused);
                Err(error.to_string())
            }
        }
    }

    #[test]
    fn without_variables_there_is_no_proxy() {
        for variables in [&[][..], &[("HTTP_PROXY", "http://p"), ("http_proxy", "http://p")], &[("HTTPS_PROXY", "")]] {
            assert_eq!(chosen(variables, "login.example"), Ok(None));
        }
    }

    #[test]
    fn exceptions_need_no_proxy_that_works() {
        let variables = [("HTTPS_PROXY", "socks5://p"), ("NO_PROXY", "example")];
        assert_eq!(chosen(&variables, "login.example"), Ok(None));
        chosen(&variables, "login.example.com").unwrap_err();
    }

    #[cfg(not(feature = "proxy"))]
    #[test]
    fn a_proxy_that_this_build_cannot_use_is_not_passed_by() {
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            let error = chosen(&[(name, "http://user:canary@proxy:3128")], "login.example").unwrap_err();
            assert!(error.contains(name) && error.contains("`proxy`") && !error.contains("canary"), "{error}");
        }
    }

    #[cfg(feature = "proxy")]
    #[test]
    fn variables_are_looked_at_in_order() {
        let all = [
            ("ALL_PROXY", "http://four"),
            ("all_proxy", "http://three"),
            ("HTTPS_PROXY", "http://two"),
            ("https_proxy", "http://one"),
        ];
        for (count, expected) in [(4, "one"), (3, "two"), (2, "three"), (1, "four")] {
            let shown = chosen(&all[..count], "login.example").unwrap().unwrap();
            assert!(shown.contains(expected), "{shown}");
        }
        let both = [("https_proxy", "http://one"), ("no_proxy", "other"), ("NO_PROXY", "login.example")];
        assert!(chosen(&both, "login.example").unwrap().is_some());
    }

    #[cfg(feature = "proxy")]
    #[test]
    fn a_proxy_that_is_none_is_told_to_who_would_use_it() {
        let error = chosen(&[("all_proxy", "socks5h://user:canary@proxy")], "login.example").unwrap_err();
        assert!(error.contains("all_proxy") && error.contains("SOCKS") && !error.contains("canary"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn variables_that_are_no_text_are_told() {
        use std::os::unix::ffi::OsStringExt as _;

        for name in ["HTTPS_PROXY", "NO_PROXY"] {
            let env = FakeEnv::new(&[("ALL_PROXY", "http://proxy")]);
            env.set(name, std::ffi::OsString::from_vec(vec![0xff]));
            let proxies = Proxies::from_env(&env);
            let mut request = Request::new(Method::Get, "https://login.example/");
            request.proxy = Wish::Configured;
            let error = proxies.choose(&request, &Target::parse("https://login.example/").unwrap()).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
