//! A web service that calls another one for whoever calls it.
//!
//! `cargo run -p identity --example middle_tier --features full`
//!
//! `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` say who the service is, `SCOPE` what it asks for in its
//! users' names (default: `https://graph.microsoft.com/User.Read`), `LISTEN` where it listens (default: `127.0.0.1:8080`).
//! To try it without a cloud, `identity emulator --source on-behalf-of` prints these variables and the path of a file with
//! a user's token. The emulator is no cloud that Microsoft knows, so set `DISABLE_INSTANCE_DISCOVERY` as well:
//!
//! ```sh
//! curl -i -H "Authorization: Bearer $(cat "$IDENTITY_USER_ASSERTION_FILE")" http://127.0.0.1:8080/
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example that shows what it does")]
#![expect(clippy::disallowed_methods, reason = "a program has a runtime, tasks and variables of its own")]

#[cfg(test)]
mod tests;

use std::{convert::Infallible, env, error, io, time::SystemTime};

use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Bytes,
    header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use identity::{
    AccessToken, Error, ErrorKind, OnBehalfOfClient, Result, TokenCredential, TokenRequestOptions, www_authenticate,
};
use tokio::net::TcpListener;

fn main() -> std::result::Result<(), Box<dyn error::Error>> {
    let var = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let secret = var("AZURE_CLIENT_SECRET")?;
    let mut builder = OnBehalfOfClient::builder(var("AZURE_TENANT_ID")?, var("AZURE_CLIENT_ID")?).client_secret(secret);
    if env::var_os("DISABLE_INSTANCE_DISCOVERY").is_some() {
        builder = builder.disable_instance_discovery();
    }
    let scope = env::var("SCOPE").unwrap_or_else(|_| "https://graph.microsoft.com/User.Read".to_owned());
    // One for the life of the process: it has the connections, the tokens of all users, and the proof of who this is.
    let service = Service { client: builder.build()?, scope };

    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8080".to_owned())).await?;
        println!("listening at http://{}", listener.local_addr()?);
        serve(listener, service).await?;
        Ok(())
    })
}

#[derive(Clone)]
struct Service {
    client: OnBehalfOfClient,
    scope: String,
}

impl Service {
    async fn answer(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let Some(token) = bearer(headers) else {
            // Nothing is said of an error: whoever did not try to sign in made none.
            return challenge("Bearer");
        };
        // Here the token is validated, before anything else is done with it: its signature by the keys of the tenant, that
        // `aud` is this application, `iss` a tenant that it serves, now between `nbf` and `exp`, and that `scp` has what this
        // call needs. Any library for JWTs does that. Entra ID does it too when it exchanges the token, but not when a token
        // is remembered, and it does not know what this service allows to whom.
        match self.token_for(token).await {
            Ok(token) => {
                // Here the other service is called, with the header `authorization: {token.authorization()}`. If it answers 401
                // with `claims` in its header `www-authenticate`, decode them and ask for a token again, with
                // `TokenRequestOptions::with_claims`: there will be one, or an error that `refusal` passes on.
                let left = token.expires_on().duration_since(SystemTime::now()).unwrap_or_default().as_secs();
                text(StatusCode::OK, format!("{} can be called for you, for {left} s\n", self.scope))
            }
            Err(error) => refusal(&error),
        }
    }

    async fn token_for(&self, token: &str) -> Result<AccessToken> {
        // What comes back can say that the other service is to be asked again with claims, for this one understands it.
        let options = TokenRequestOptions::new().enable_cae();
        self.client.credential(token)?.get_token(&[&self.scope], Some(&options)).await
    }
}

/// What the caller is told. The error itself is for those who run this service: it has ids, codes and advice.
fn refusal(error: &Error) -> Response<Full<Bytes>> {
    eprintln!("no token: {error}");
    // The user can mend it: by another proof, by consent, by signing in again, or by a token that has not expired.
    if let Some(value) = www_authenticate(error) {
        return challenge(&value);
    }
    match error.kind() {
        // All that is of the caller is the token, and it has a character that no token has.
        ErrorKind::InvalidArgument => challenge("Bearer error=\"invalid_token\""),
        ErrorKind::Transport => {
            let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, "try again later\n".to_owned());
            if let Some(wait) = error.retry_after() {
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
            }
            answer
        }
        // The secret has expired, the application lacks a permission: nothing that a caller could do.
        _ => text(StatusCode::INTERNAL_SERVER_ERROR, "something is wrong with this service\n".to_owned()),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn challenge(value: &str) -> Response<Full<Bytes>> {
    let mut answer = text(StatusCode::UNAUTHORIZED, "sign in, then call again\n".to_owned());
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    answer
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer
}

async fn serve(listener: TcpListener, service: Service) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        let answer = service_fn(move |request: hyper::Request<_>| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.answer(request.headers()).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}
