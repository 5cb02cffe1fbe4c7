//! The token endpoint of Entra for one application with a secret, strict about the request.

use std::time::Duration;

use crate::Result;
use crate::shell::Cmd;

use super::http::Head;

pub(super) const TENANT: &str = "5d929ae3-b37c-46aa-a3c8-c1558902f101";
const CLIENT: &str = "4dd7e5a4-1ec4-4a1f-a6b1-4bd8a8b51c27";
/// Of the length and the characters that Entra makes secrets of; `~` is where encoders of forms differ.
const SECRET: &str = "vQs8Q~8yMeasured.Only_no-tenant-knows~it";

/// The program with the variables of a client secret.
pub(super) fn point(program: Cmd, address: &str) -> Cmd {
    program
        .env("AZURE_AUTHORITY_HOST", format!("https://{address}"))
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", CLIENT)
        .env("AZURE_CLIENT_SECRET", SECRET)
}

/// The scope that is asked for, if the request is one that Entra would answer with a token.
pub(super) fn parse(head: &Head, body: &[u8]) -> Result<String> {
    let scope = of_the_application(head, body, "client_credentials")?("scope").unwrap_or_default();
    if scope.starts_with("https://") && scope.ends_with("/.default") {
        return Ok(scope);
    }
    Err(format!("no scope: {}", head.first_line()))
}

/// The values of the form, if the application proves who it is and asks for that grant. What is there twice has no value.
pub(super) fn of_the_application(
    head: &Head,
    body: &[u8],
    grant: &str,
) -> Result<impl Fn(&str) -> Option<String> + use<>> {
    let complain = |what: &str| format!("{what}: {}", head.first_line());
    let target = head.target("POST").ok_or_else(|| complain("not a POST"))?;
    // MSAL for JavaScript puts its correlation id there as well.
    let path = target.split_once("?client-request-id=").map_or(target, |(path, _)| path);
    if path != format!("/{TENANT}/oauth2/v2.0/token") {
        return Err(complain("another path"));
    }
    if !head.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        return Err(complain("no form"));
    }
    if head.header("host").is_none() {
        return Err(complain("no host"));
    }
    let form = String::from_utf8(body.to_vec()).map_err(|_| complain("a form that is no text"))?;
    let value = move |name: &str| {
        let mut values = form.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let first = values.next().and_then(decoded);
        if values.next().is_some() { None } else { first }
    };
    for (name, expected) in [("grant_type", grant), ("client_id", CLIENT), ("client_secret", SECRET)] {
        if value(name).as_deref() != Some(expected) {
            return Err(complain(&format!("no {name}, or a wrong one")));
        }
    }
    Ok(value)
}

/// The body that goes with a token.
pub(super) fn body(token: &str, lives: Duration) -> String {
    let seconds = lives.as_secs();
    format!(r#"{{"token_type":"Bearer","expires_in":{seconds},"ext_expires_in":{seconds},"access_token":"{token}"}}"#)
}

/// A value of a form; none if it is badly encoded.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_entra_refuses_is_a_complaint() {
        let parse = |head: &str, body: &str| parse(&Head(head.to_owned()), body.as_bytes());
        let head = format!(
            "POST /{TENANT}/oauth2/v2.0/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
        );
        let secret = SECRET.replace('~', "%7E");
        let body = format!(
            "grant_type=client_credentials&client_id={CLIENT}&client_secret={secret}&scope=https%3A%2F%2Fvault.azure.net%2F.default"
        );
        assert_eq!(parse(&head, &body), Ok("https://vault.azure.net/.default".to_owned()));
        for (from, to) in [("POST", "GET"), (TENANT, "common"), ("Host", "Hose"), ("x-www-form", "json")] {
            assert!(parse(&head.replace(from, to), &body).is_err(), "{from} -> {to}");
        }
        for (from, to) in [
            ("client_credentials", "password"),
            (CLIENT, TENANT),
            ("measured", "guessed"),
            ("Measured", "Guessed"),
            ("%7E", "%7"),
            ("scope=", "resource="),
            ("%2F.default", ""),
            ("scope=", "scope=openid&scope="),
        ] {
            assert_eq!(parse(&head, &body.replace(from, to)).is_err(), body.contains(from), "{from} -> {to}");
        }
    }
}
