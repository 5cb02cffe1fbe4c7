//! A client so small that it can hide nothing: bytes out, bytes in.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use identity_emulator::{Emulator, Source};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use serde_json::{Value, json};

pub(crate) const STORAGE: &str = "resource=https%3A%2F%2Fstorage.azure.com%2F";

/// A response, taken apart.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(bytes)));
        let (head, body) = bytes.split_at(end + 4);
        let head = String::from_utf8(head.to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: body.to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut pairs = lines.filter_map(|line| line.split_once(": "));
        pairs.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The claims of the access token, not verified.
    pub(crate) fn claims(&self) -> Value {
        let json = self.json();
        let token = json["access_token"].as_str().unwrap_or_else(|| panic!("no token in {json}"));
        claims(token)
    }
}

pub(crate) fn claims(token: &str) -> Value {
    serde_json::from_slice(&decode_base64_url(token.split('.').nth(1).unwrap())).unwrap()
}

pub(crate) fn decode_base64_url(text: &str) -> Vec<u8> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.chars() {
        bits = bits << 6 | u32::try_from(alphabet.find(letter).unwrap()).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 255).unwrap());
        }
    }
    bytes
}

/// Sends bytes and reads until the other side closes; an error after the first byte counts as the end.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

/// The bytes of a request that asks to close the connection afterwards.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

pub(crate) fn send(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Response {
    Response::parse(&exchange(address, &request(method, target, headers, body)).unwrap())
}

/// Sends a request to a listener that speaks TLS, by the name `localhost`.
pub(crate) fn send_tls(emulator: &Emulator, source: Source, request: &[u8]) -> std::io::Result<Vec<u8>> {
    exchange_tls(emulator.address(source), "localhost", &emulator.ca_pem(), request)
}

pub(crate) fn exchange_tls(address: SocketAddr, name: &str, ca_pem: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut stream = tls(stream, name, ca_pem);
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

pub(crate) fn tls(
    stream: TcpStream,
    name: &str,
    ca_pem: &str,
) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    rustls::StreamOwned::new(rustls::ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

/// The request for a token with these form fields.
pub(crate) fn token_request(tenant: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    request("POST", &format!("/{tenant}/oauth2/v2.0/token"), &headers, &form(fields))
}

/// Asks Entra for a token.
pub(crate) fn token(emulator: &Emulator, tenant: &str, fields: &[(&str, &str)]) -> Response {
    let request = String::from_utf8(token_request(tenant, fields)).unwrap();
    let request = request.replace("Host: 127.0.0.1", &emulator.authority().replace("https://", "Host: "));
    Response::parse(&send_tls(emulator, Source::Entra, request.as_bytes()).unwrap())
}

/// Asks Entra for a document.
pub(crate) fn document(emulator: &Emulator, target: &str) -> Response {
    Response::parse(&send_tls(emulator, Source::Entra, &request("GET", target, &[], "")).unwrap())
}

/// The fields as a form, every byte escaped that might need it.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}

/// A token from IMDS, as a client asks for one.
pub(crate) fn imds_request() -> Vec<u8> {
    let target = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&{STORAGE}");
    request("GET", &target, &[("Metadata", "true")], "")
}

pub(crate) fn imds(emulator: &Emulator) -> Response {
    Response::parse(&imds_bytes(emulator).unwrap())
}

pub(crate) fn imds_bytes(emulator: &Emulator) -> std::io::Result<Vec<u8>> {
    exchange(emulator.address(Source::Imds), &imds_request())
}

/// Asks the control listener.
pub(crate) fn control(emulator: &Emulator, method: &str, path: &str, body: &str) -> Response {
    let address = emulator.control_origin().strip_prefix("http://").unwrap().parse().unwrap();
    let headers: &[_] = if body.is_empty() { &[] } else { &[("Content-Type", "application/json")] };
    send(address, method, path, headers, body)
}

/// The value of a variable that the emulator gives for a source.
pub(crate) fn variable(emulator: &Emulator, source: Source, name: &str) -> String {
    let variables = emulator.variables(source);
    variables.into_iter().find(|(other, _)| other == name).expect("the source has that variable").1
}

/// An emulator that writes challenge files where anybody may, in a directory of its own.
pub(crate) fn builder() -> identity_emulator::Builder {
    Emulator::builder().arc_directory(directory())
}

/// A path in a place for temporary files, with nothing at it.
pub(crate) fn directory() -> std::path::PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let program = std::env::current_exe().unwrap();
    let program = program.file_name().unwrap().to_string_lossy().into_owned();
    let name = format!("{program}-{}-{number}", std::process::id());
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // A process of that number may have been there before.
    let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
    path
}

/// Base64 without padding, of the alphabet for URLs or of the other.
pub(crate) fn base64(bytes: &[u8], for_urls: bool) -> String {
    let last = if for_urls { "-_" } else { "+/" };
    let alphabet = format!("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789{last}");
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, place| bits << 8 | u32::from(group.get(place).copied().unwrap_or_default()));
        for place in 0..=group.len() {
            out.push(char::from(alphabet.as_bytes()[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    out
}

pub(crate) fn padded(text: &str) -> String {
    format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4))
}

/// Signs with the public test key.
pub(crate) fn jwt(header: &Value, claims: &Value) -> String {
    sign(header, claims, str::to_owned)
}

/// The same with padding, as the asynchronous half of azure-identity for Python does it.
pub(crate) fn padded_jwt(header: &Value, claims: &Value) -> String {
    sign(header, claims, padded)
}

fn sign(header: &Value, claims: &Value, finish: fn(&str) -> String) -> String {
    let part = |bytes: &[u8]| finish(&base64(bytes, true));
    let signed = format!("{}.{}", part(header.to_string().as_bytes()), part(claims.to_string().as_bytes()));
    let key = PrivatePkcs8KeyDer::from_pem_slice(identity_emulator::TEST_KEY_PEM.as_bytes()).unwrap();
    let key = ring::rsa::KeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let padding: &dyn ring::signature::RsaEncoding = match header["alg"].as_str() {
        Some("PS256") => &ring::signature::RSA_PSS_SHA256,
        Some("PS384") => &ring::signature::RSA_PSS_SHA384,
        Some("PS512") => &ring::signature::RSA_PSS_SHA512,
        Some("RS384") => &ring::signature::RSA_PKCS1_SHA384,
        Some("RS512") => &ring::signature::RSA_PKCS1_SHA512,
        _ => &ring::signature::RSA_PKCS1_SHA256,
    };
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(padding, &ring::rand::SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", part(&signature))
}

pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// The status and the code of Entra in a refusal.
pub(crate) fn refusal(answer: &Response) -> (u16, u64) {
    (answer.status, answer.json()["error_codes"][0].as_u64().unwrap_or_default())
}

/// The form of a program with a secret that asks for a token of Azure Storage, changed; the value `-` takes a field away.
pub(crate) fn fields<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("client_id", identity_emulator::WEB_CLIENT_ID),
        ("client_secret", identity_emulator::WEB_CLIENT_SECRET),
        ("grant_type", "client_credentials"),
        ("scope", "https://storage.azure.com/.default"),
    ];
    for (name, value) in changes {
        fields.retain(|(other, _)| other != name);
        if *value != "-" {
            fields.push((name, value));
        }
    }
    fields
}

/// The status, the error and the code of a refusal, whose text begins with the code.
pub(crate) fn outcome(answer: &Response) -> (u16, String, u64) {
    let body = answer.json();
    let code = body["error_codes"][0].as_u64().unwrap_or_default();
    let text = body["error_description"].as_str().unwrap_or_default();
    assert!(text.starts_with(&format!("AADSTS{code}: ")), "{body}");
    (answer.status, body["error"].as_str().unwrap_or_default().to_owned(), code)
}

/// The form by which an application shows an assertion.
pub(crate) fn assertion_fields<'a>(client_id: &'a str, assertion: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("client_id", client_id),
        ("client_assertion", assertion),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("grant_type", "client_credentials"),
        ("scope", "https://storage.azure.com/.default"),
    ]
}

/// The header of an assertion of the public test certificate.
pub(crate) fn rs256() -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "x5t": x5t(identity_emulator::TEST_CERTIFICATE_PEM) })
}

/// The claims of an assertion that passes.
pub(crate) fn good_claims(emulator: &Emulator) -> Value {
    json!({
        "aud": emulator.endpoint(Source::Entra),
        "exp": now() + 600,
        "iat": now(),
        "iss": identity_emulator::CERTIFICATE_CLIENT_ID,
        "jti": "7e57ab1e-0000-4000-8000-00000000beef",
        "nbf": now(),
        "sub": identity_emulator::CERTIFICATE_CLIENT_ID,
    })
}

/// An object with one value changed; null takes it away.
pub(crate) fn with(mut object: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
        value => object[name] = value,
    }
    object
}

pub(crate) fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

pub(crate) fn sha1(pem: &str) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &der(pem)).as_ref().to_vec()
}

pub(crate) fn x5t(pem: &str) -> String {
    base64(&sha1(pem), true)
}

/// The value of `x5c` for these certificates.
pub(crate) fn x5c(chain: &[&str]) -> Value {
    chain.iter().map(|pem| padded(&base64(&der(pem), false))).collect()
}

/// A form, changed; the value `-` takes a field away.
pub(crate) fn changed<'a>(form: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = form.to_vec();
    for (name, value) in changes {
        fields.retain(|(other, _)| other != name);
        if *value != "-" {
            fields.push((name, value));
        }
    }
    fields
}

/// Parts of a token answer.
pub(crate) fn part(answer: &Response, name: &str) -> String {
    let json = answer.json();
    json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned()
}

/// The claims of a token, if the published key verifies its signature.
pub(crate) fn verified(emulator: &Emulator, token: &str) -> Value {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decode_base64_url(signed.split('.').next().unwrap())).unwrap();
    let keys = document(emulator, "/common/discovery/v2.0/keys").json();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    let number = |name: &str| decode_base64_url(key[name].as_str().unwrap());
    let key = ring::signature::RsaPublicKeyComponents { n: number("n"), e: number("e") };
    key.verify(&ring::signature::RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decode_base64_url(signature)).unwrap();
    claims(token)
}

/// The claims of a token, or the text if it is none.
pub(crate) fn claims_text(token: &str) -> String {
    let part = token.split('.').nth(1).filter(|_| token.matches('.').count() == 2);
    part.map_or_else(|| token.to_owned(), |part| String::from_utf8(decode_base64_url(part)).unwrap())
}

pub(crate) const CP1: &str = r#"{"access_token":{"xms_cc":{"values":["CP1"]}}}"#;
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// The S256 challenge of [`VERIFIER`] (RFC 7636, appendix B).
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const STORAGE_SCOPE: &str = "https://storage.azure.com/.default";
