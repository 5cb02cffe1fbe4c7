//! Azurite, the storage emulator, takes the tokens that our own credential gets, and refuses what it should.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use identity_certificate::CertificateCredential;
use identity_confidential::ClientSecretCredential;
use identity_core::TokenCredential;
use identity_emulator::{Answer, CERTIFICATE_CLIENT_ID, Emulator, Source, TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET};
use identity_msi::ManagedIdentityCredential;
use identity_tests::platform_of;
use identity_workload::WorkloadIdentityCredential;

use crate::{
    installed::{folder, path, run, text},
    pki,
    process::Process,
};

const STORAGE: &str = "https://storage.azure.com/.default";

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn azurite_takes_our_tokens_and_refuses_others() {
    let Some(modules) = path("REAL_NODE_MODULES", "Azurite") else { return };
    let emulator = Emulator::builder().start_in_background().unwrap();
    let azurite = Azurite::start("azurite", &modules);

    // A container, a blob, a list, the blob back: each with the token of a different source.
    let sources = [Source::AppService, Source::Imds, Source::ServiceFabric, Source::AzureMl, Source::CloudShell];
    let tokens = sources.map(|source| token(&emulator, source, STORAGE));
    let [create, put, list, get, head] = &tokens;
    azurite.asks(create, &["-X", "PUT", "-H", "content-length: 0"], "/box?restype=container", 201, "");
    let put_blob = ["-X", "PUT", "-H", "x-ms-blob-type: BlockBlob", "--data-binary", "what our token wrote"];
    azurite.asks(put, &put_blob, "/box/hello.txt", 201, "");
    azurite.asks(list, &[], "/box?restype=container&comp=list", 200, "<Name>hello.txt</Name>");
    azurite.asks(get, &[], "/box/hello.txt", 200, "what our token wrote");
    azurite.asks(head, &["-I"], "/box/hello.txt", 200, "");
    // The account's own host is an audience, too.
    let own = token(&emulator, Source::AppService, "https://devstoreaccount1.blob.core.windows.net/.default");
    azurite.asks(&own, &[], "/box/hello.txt", 200, "what our token wrote");

    let vault = token(&emulator, Source::AppService, "https://vault.azure.net/.default");
    azurite.asks(&vault, &[], "/box/hello.txt", 403, "Invalid token audience");
    let other = token(&emulator, Source::AppService, "https://other.blob.core.windows.net/.default");
    azurite.asks(&other, &[], "/box/hello.txt", 403, "Invalid token audience");
    // An answer that lies about the life of its token.
    let stale = Answer::real().with_lifetime_secs(-60).with_text_field("expires_on", "9999999999");
    emulator.faults().next(Source::AppService, stale);
    let expired = token(&emulator, Source::AppService, STORAGE);
    azurite.asks(&expired, &[], "/box/hello.txt", 403, "expired");
    azurite.asks("nonsense", &[], "/box/hello.txt", 403, "");
    azurite.asks("", &[], "/box/hello.txt", 403, "");
    assert_eq!(emulator.request_count(None), 9, "one for each credential");
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn azurite_takes_tokens_of_applications() {
    let Some(modules) = path("REAL_NODE_MODULES", "Azurite") else { return };
    let emulator = Emulator::builder().start_in_background().unwrap();
    let azurite = Azurite::start("azurite-applications", &modules);
    let platform = platform_of(&emulator, Source::Entra);

    let secret = ClientSecretCredential::builder(TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET);
    let secret = secret.disable_instance_discovery().build_with(&platform).unwrap();
    let certificate = CertificateCredential::builder(TENANT_ID, CERTIFICATE_CLIENT_ID);
    let certificate = certificate.certificate_path(emulator.client_certificate_path());
    let certificate = certificate.disable_instance_discovery().build_with(&platform).unwrap();
    let workload = WorkloadIdentityCredential::builder().disable_instance_discovery();
    let workload = workload.build_with(&platform_of(&emulator, Source::WorkloadIdentity)).unwrap();

    let create = token_of(&secret, STORAGE);
    azurite.asks(&create, &["-X", "PUT", "-H", "content-length: 0"], "/box?restype=container", 201, "");
    let put_blob = ["-X", "PUT", "-H", "x-ms-blob-type: BlockBlob", "--data-binary", "what an application wrote"];
    azurite.asks(&token_of(&certificate, STORAGE), &put_blob, "/box/hello.txt", 201, "");
    azurite.asks(&token_of(&workload, STORAGE), &[], "/box/hello.txt", 200, "what an application wrote");
    let own = token_of(&secret, "https://devstoreaccount1.blob.core.windows.net/.default");
    azurite.asks(&own, &[], "/box/hello.txt", 200, "what an application wrote");
    for credential in [&secret as &dyn TokenCredential, &certificate, &workload] {
        let vault = token_of(credential, "https://vault.azure.net/.default");
        azurite.asks(&vault, &[], "/box/hello.txt", 403, "Invalid token audience");
    }
    assert_eq!(emulator.request_count(None), 7, "one for each token");
}

/// A token by our own credential, as a program gets it.
fn token(emulator: &Emulator, source: Source, scope: &str) -> String {
    token_of(&ManagedIdentityCredential::builder().build_with(&platform_of(emulator, source)).unwrap(), scope)
}

fn token_of(credential: &dyn TokenCredential, scope: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(credential.get_token(&[scope], None)).unwrap().secret().to_owned()
}

/// A running Azurite; it ends with this value.
struct Azurite {
    _process: Process,
    blobs: String,
    folder: PathBuf,
}

impl Azurite {
    /// Its blob service, over HTTPS with a certificate of our own making, and with OAuth on.
    fn start(name: &str, modules: &Path) -> Self {
        let folder = folder(name);
        pki::server(&folder);
        let mut command = Command::new("node");
        command
            .arg(modules.join("azurite/dist/src/blob/main.js"))
            .args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--oauth", "basic"])
            .args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"])
            .arg("--cert")
            .arg(folder.join("server.pem"))
            .arg("--key")
            .arg(folder.join("server.key"))
            .current_dir(&folder);
        let mut process = Process::start(&mut command);
        let port: u16 = process.line_after("successfully listens on https://127.0.0.1:").parse().unwrap();
        Self { _process: process, blobs: format!("https://127.0.0.1:{port}/devstoreaccount1"), folder }
    }

    /// Sends a request with that token by curl, and compares the status and a part of the answer.
    fn asks(&self, token: &str, arguments: &[&str], path: &str, status: u16, says: &str) {
        let url = format!("{}{path}", self.blobs);
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--noproxy",
            "*",
            "--write-out",
            "\n%{http_code}",
        ]);
        command.arg("--cacert").arg(self.folder.join("ca.pem")).args(["--config", "-"]).args(arguments).arg(&url);
        // Not as an argument, which everybody on the machine can see.
        let header =
            if token.is_empty() { String::new() } else { format!("header = \"Authorization: Bearer {token}\"\n") };
        let output = run(&mut command, &format!("header = \"x-ms-version: 2025-11-05\"\n{header}"));
        let printed = text(&output.stdout);
        let (body, code) = printed.rsplit_once('\n').unwrap_or_else(|| panic!("{url}: {}", text(&output.stderr)));
        assert_eq!(code, status.to_string(), "{arguments:?} {path}: {body} {}", text(&output.stderr));
        assert!(body.contains(says), "{arguments:?} {path} says not {says:?}: {body}");
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
