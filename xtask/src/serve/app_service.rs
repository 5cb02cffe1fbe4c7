//! App Service's managed identity, strict about the request.

use crate::Result;
use crate::shell::Cmd;

use super::http::{Head, expires_at};

const PATH: &str = "/msi/token";
const SECRET: &str = "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a";

/// The program with the variables of App Service.
pub(super) fn point(program: Cmd, address: &str) -> Cmd {
    program.env("IDENTITY_ENDPOINT", format!("http://{address}{PATH}")).env("IDENTITY_HEADER", SECRET)
}

/// The resource that is asked for, if the request is one that App Service would answer.
pub(super) fn parse(head: &Head) -> Result<String> {
    let complain = |what: &str| format!("{what}: {}", head.first_line());
    let target = head.target("GET").ok_or_else(|| complain("not a GET"))?;
    let (path, query) = target.split_once('?').ok_or_else(|| complain("no query"))?;
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    if path != PATH {
        return Err(complain("another path"));
    }
    if value("api-version") != Some("2019-08-01") {
        return Err(complain("another api-version"));
    }
    if head.header("x-identity-header") != Some(SECRET) {
        return Err(complain("no x-identity-header, or a wrong one"));
    }
    if head.header("host").is_none() {
        return Err(complain("no host"));
    }
    let resource = value("resource").unwrap_or_default().replace("%3A", ":").replace("%2F", "/");
    if resource.starts_with("https://") && !resource.contains('%') {
        Ok(resource)
    } else {
        Err(complain("no resource"))
    }
}

/// The body that goes with a token.
pub(super) fn body(token: &str, lives: std::time::Duration) -> String {
    let expires = expires_at(lives);
    format!(
        r#"{{"access_token":"{token}","client_id":"5e29463d-71da-4fe0-8e69-999b57db23b0","expires_on":"{expires}","resource":"https://storage.azure.com","token_type":"Bearer"}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_app_service_refuses_is_a_complaint() {
        let parse = |head: &str| parse(&Head(head.to_owned()));
        let good = format!(
            "GET {PATH}?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net HTTP/1.1\r\nHost: x\r\nX-Identity-Header: {SECRET}\r\n\r\n"
        );
        assert_eq!(parse(&good), Ok("https://vault.azure.net".to_owned()));
        for (from, to) in [("2019", "2017"), (PATH, "/other"), (SECRET, "guess"), ("GET", "PUT"), ("resource", "scope")]
        {
            assert!(parse(&good.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}
