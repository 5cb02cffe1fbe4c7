//! What is printed of a token.

use std::{fmt::Write as _, time::SystemTime};

use identity::{AccessToken, ChainLink};
use serde_json::{Map, Value, json};

use super::kubectl::{self, ApiVersion};
use crate::{
    claims,
    cli::{Output, TokenArgs},
    screen::{self, Paint},
    when,
};

/// The version is for [`Output::Kubectl`].
pub(super) fn show(args: &TokenArgs, token: &AccessToken, link: Option<ChainLink>, version: ApiVersion) -> String {
    match args.output {
        Output::Token => format!("{}\n", token.secret()),
        Output::Header => format!("Authorization: {}\n", token.authorization()),
        Output::Kubectl => {
            let credential = kubectl::credential(version, token, SystemTime::now());
            screen::escape_json(&credential.to_string()) + "\n"
        }
        Output::Json => screen::escape_json(&to_json(token, link, args.emulator.emulator).to_string()) + "\n",
        Output::Text => to_text(token, link, args.emulator.emulator, SystemTime::now(), Paint::stdout()),
    }
}

fn to_json(token: &AccessToken, link: Option<ChainLink>, is_emulated: bool) -> Value {
    let mut object = json!({
        "token": token.secret(),
        "expires_on": when::seconds(token.expires_on()),
        "refresh_on": token.refresh_on().map(when::seconds),
        "token_type": token.token_type(),
        "credential": token.credential(),
        "source": token.origin(),
        "claims": claims::decode(token.secret()),
    });
    if let (Some(link), Some(object)) = (link, object.as_object_mut()) {
        object.insert("chain".to_owned(), CHAIN.into());
        object.insert("link".to_owned(), link.name().into());
    }
    if let (true, Some(object)) = (is_emulated, object.as_object_mut()) {
        object.insert("emulator".to_owned(), true.into());
    }
    object
}

/// For people: everything but the token.
fn to_text(token: &AccessToken, link: Option<ChainLink>, is_emulated: bool, now: SystemTime, paint: Paint) -> String {
    let claims = claims::decode(token.secret());
    let claim = |name| claims.as_ref().and_then(|claims| claims::text(claims, name)).map(screen::escape);
    let from = match token.origin() {
        "" => String::new(),
        origin => format!(" from {origin}"),
    };
    let mut out = format!("{}\n", paint.bold(&format!("{} got a token{from}", token.credential())));
    if is_emulated {
        out.push_str("by the emulator: it shows how this works, and opens nothing real\n");
    }
    let rows = [
        ("through", link.map(|link| format!("{link} of {CHAIN}"))),
        ("for", claim("aud")),
        ("expires", Some(when::until(token.expires_on(), now))),
        ("refresh", token.refresh_on().map(|time| when::until(time, now))),
        ("client id", claim("appid").or_else(|| claim("azp"))),
        ("object id", claim("oid")),
        ("resource id", claim("xms_mirid")),
        ("tenant", claim("tid")),
    ];
    out.push('\n');
    for (name, value) in rows {
        if let Some(value) = value {
            let _ = writeln!(out, "  {} {value}", paint.dim(&format!("{name:11}")));
        }
    }
    match &claims {
        Some(claims) => write_claims(&mut out, claims, paint),
        None => out.push_str("\nthe token is opaque: it has no claims to show\n"),
    }
    out
}

fn write_claims(out: &mut String, claims: &Map<String, Value>, paint: Paint) {
    let _ = writeln!(out, "\n{}", paint.bold("claims, decoded and not verified"));
    let width = claims.keys().map(|name| name.chars().count()).max().unwrap_or(0).clamp(11, 24);
    for (name, value) in claims {
        let shown = match value {
            Value::String(text) => screen::escape(text),
            other => screen::escape(&other.to_string()),
        };
        let is_time = matches!(name.as_str(), "exp" | "iat" | "nbf" | "auth_time");
        let time = value.as_u64().filter(|_| is_time).and_then(when::utc);
        let time = time.map(|time| format!("  {}", paint.dim(&time))).unwrap_or_default();
        let _ = writeln!(out, "  {} {shown}{time}", paint.dim(&format!("{:width$}", screen::escape(name))));
    }
}

const CHAIN: &str = "DefaultAzureCredential";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn token(secret: &str) -> AccessToken {
        AccessToken::new(secret, SystemTime::UNIX_EPOCH + Duration::from_secs(7_200))
            .with_credential("SomeCredential", "Some Source")
    }

    #[test]
    fn a_claim_cannot_steer_the_terminal_nor_fake_a_row() {
        // basenc --base64url of {"aud":"x\n  expires     never","\u001b[2J":"\u202e"}
        let payload = "eyJhdWQiOiJ4XG4gIGV4cGlyZXMgICAgIG5ldmVyIiwiXHUwMDFiWzJKIjoiXHUyMDJlIn0";
        let text = to_text(&token(&format!("h.{payload}.s")), None, false, SystemTime::UNIX_EPOCH, Paint::NONE);
        assert_eq!(
            text,
            "SomeCredential got a token from Some Source\n\n\
             \x20 for         x\\u{a}  expires     never\n\
             \x20 expires     1970-01-01 02:00:00 UTC, in 2 h 0 min\n\n\
             claims, decoded and not verified\n\
             \x20 \\u{1b}[2J   \\u{202e}\n\
             \x20 aud         x\\u{a}  expires     never\n"
        );
    }

    #[test]
    fn an_opaque_token_is_not_shown_either() {
        let text = to_text(&token("canary"), None, true, SystemTime::UNIX_EPOCH, Paint::NONE);
        assert!(text.contains("opaque") && text.contains("emulator") && !text.contains("canary"));
    }

    #[test]
    fn scripts_get_the_times_as_numbers() {
        let object = to_json(&token("t"), None, false);
        assert_eq!((&object["expires_on"], &object["refresh_on"]), (&json!(7_200), &Value::Null));
        assert_eq!((&object["claims"], object.get("emulator")), (&Value::Null, None));
        assert_eq!(object.get("chain"), None);
    }

    #[test]
    fn who_answered_for_a_chain_is_told_with_its_place() {
        let text = to_text(&token("t"), Some(ChainLink::Environment), false, SystemTime::UNIX_EPOCH, Paint::NONE);
        assert!(
            text.starts_with(
                "SomeCredential got a token from Some Source\n\n  through     EnvironmentCredential of DefaultAzureCredential\n"
            ),
            "{text}"
        );
        let object = to_json(&token("t"), Some(ChainLink::Environment), false);
        assert_eq!(
            (&object["credential"], &object["chain"], &object["link"]),
            (&json!("SomeCredential"), &json!("DefaultAzureCredential"), &json!("EnvironmentCredential"))
        );
    }
}
