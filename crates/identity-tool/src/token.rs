//! `identity token`.

use std::{fmt::Write as _, io, process::ExitCode, sync::Arc, time::SystemTime};

use identity::{
    AccessToken, ChainedTokenCredential, ErrorKind, ManagedIdentityCredential, Platform, TokenCredential,
    TokenRequestOptions,
};
use identity_emulator::Emulator;
use serde_json::{Map, Value, json};

use crate::{
    claims,
    cli::{Credential, Output, TokenArgs},
    emulator, failure,
    overlay::Overlay,
    screen::{self, Paint},
    sources, verbose, when,
};

pub(crate) async fn run(args: &TokenArgs) -> io::Result<ExitCode> {
    if args.verbose {
        verbose::start();
    }
    let mut platform = identity::platform();
    // It runs as long as this is held.
    let _emulator = if args.emulator {
        let emulator = Emulator::builder().start().await?;
        emulator::check(&emulator, Some(args.emulator_source))?;
        let variables = emulator.variables(args.emulator_source);
        platform = platform.with_env(Arc::new(Overlay::new(variables, Arc::clone(platform.env()))));
        Some(emulator)
    } else {
        None
    };
    match get(args, &platform).await {
        Ok(token) => {
            screen::print(&show(args, &token))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(Failure { error, source }) => {
            let text = if args.output == Output::Json {
                screen::escape_json(&failure::to_json(&error).to_string()) + "\n"
            } else {
                explain(args, &error, source, &platform, Paint::stderr())
            };
            screen::tell(&text);
            Ok(failure::exit_code(error.kind()))
        }
    }
}

struct Failure {
    error: identity::Error,
    /// Which source the managed identity would have come from; `None` if it did not get that far.
    source: Option<&'static str>,
}

async fn get(args: &TokenArgs, platform: &Platform) -> Result<AccessToken, Failure> {
    let mut builder = ManagedIdentityCredential::builder();
    if let Some(id) = &args.client_id {
        builder = builder.client_id(id);
    }
    if let Some(id) = &args.object_id {
        builder = builder.object_id(id);
    }
    if let Some(id) = &args.resource_id {
        builder = builder.resource_id(id);
    }
    if args.allow_remote_endpoint {
        builder = builder.allow_remote_endpoint();
    }
    if let Some(duration) = args.failure_memory {
        builder = builder.failure_memory(duration);
    }
    let managed = builder.build_with(platform).map_err(|error| Failure { error, source: None })?;
    let source = Some(managed.source());
    let failed = |error| Failure { error, source };
    let credential: Arc<dyn TokenCredential> = match args.credential {
        Credential::ManagedIdentity => Arc::new(managed),
        Credential::Default => Arc::new(ChainedTokenCredential::new(vec![Arc::new(managed)]).map_err(failed)?),
    };
    let mut options = TokenRequestOptions::new();
    if let Some(claims) = &args.claims {
        options = options.with_claims(claims);
    }
    if let Some(tenant) = &args.request_tenant_id {
        options = options.with_tenant_id(tenant);
    }
    if args.enable_cae {
        options = options.enable_cae();
    }
    let scopes: Vec<&str> = args.scope.iter().map(String::as_str).collect();
    credential.get_token(&scopes, Some(&options)).await.map_err(failed)
}

/// The error, and what helps a person to solve it.
fn explain(
    args: &TokenArgs,
    error: &identity::Error,
    source: Option<&'static str>,
    platform: &Platform,
    paint: Paint,
) -> String {
    // The frame of a chain of one has nothing to add.
    let error = match error.attempts() {
        [only] => only,
        _ => error,
    };
    let mut out = failure::to_text(error, paint);
    let is_absent = error.kind() == ErrorKind::CredentialUnavailable;
    let is_silent = error.kind() == ErrorKind::Transport && source == Some("IMDS");
    if let Some(source) = source.filter(|_| is_absent || is_silent) {
        let _ = write!(out, "\n{}", sources::explain(platform.env().as_ref(), source, paint));
    }
    if is_absent && !args.emulator {
        let scope = args.scope.first().map_or("", String::as_str);
        let _ = write!(
            out,
            "\n{}\n  identity token --emulator --scope {}\n",
            paint.bold("to try it on a machine that has no identity"),
            screen::escape(scope)
        );
    }
    out
}

fn show(args: &TokenArgs, token: &AccessToken) -> String {
    match args.output {
        Output::Token => format!("{}\n", token.secret()),
        Output::Header => format!("Authorization: {}\n", token.authorization()),
        Output::Json => screen::escape_json(&to_json(token, args.emulator).to_string()) + "\n",
        Output::Text => to_text(token, args.emulator, SystemTime::now(), Paint::stdout()),
    }
}

fn to_json(token: &AccessToken, is_emulated: bool) -> Value {
    let mut object = json!({
        "token": token.secret(),
        "expires_on": when::seconds(token.expires_on()),
        "refresh_on": token.refresh_on().map(when::seconds),
        "token_type": token.token_type(),
        "credential": token.credential(),
        "source": token.origin(),
        "claims": claims::decode(token.secret()),
    });
    if let (true, Some(object)) = (is_emulated, object.as_object_mut()) {
        object.insert("emulator".to_owned(), true.into());
    }
    object
}

/// For people: everything but the token.
fn to_text(token: &AccessToken, is_emulated: bool, now: SystemTime, paint: Paint) -> String {
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
        let text = to_text(&token(&format!("h.{payload}.s")), false, SystemTime::UNIX_EPOCH, Paint::NONE);
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
        let text = to_text(&token("canary"), true, SystemTime::UNIX_EPOCH, Paint::NONE);
        assert!(text.contains("opaque") && text.contains("emulator") && !text.contains("canary"));
    }

    #[test]
    fn scripts_get_the_times_as_numbers() {
        let object = to_json(&token("t"), false);
        assert_eq!((&object["expires_on"], &object["refresh_on"]), (&json!(7_200), &Value::Null));
        assert_eq!((&object["claims"], object.get("emulator")), (&Value::Null, None));
    }
}
