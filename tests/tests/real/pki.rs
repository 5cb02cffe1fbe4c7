//! Certificates: those of servers by rcgen, those of applications by openssl, which shares no code with ours.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use identity_core::text::base64url;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

use crate::installed::{run, text};

/// `ca.pem` for clients; `server.pem` and `server.key`, for `localhost` and its addresses, for a server.
pub(crate) fn server(folder: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "identity-tests");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let server = CertificateParams::new(names.to_vec()).unwrap().signed_by(&key, &authority).unwrap();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    fs::write(folder.join("server.pem"), server.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

/// What an application has that signs in with a certificate, in every form.
pub(crate) struct Application {
    /// The certificate alone, for whoever registers it.
    pub(crate) certificate: PathBuf,
    /// The certificate of its issuer.
    pub(crate) issuer: PathBuf,
    /// The private key alone.
    pub(crate) key: PathBuf,
    /// Key, certificate and its issuer's.
    pub(crate) pem: PathBuf,
    /// The same, the key encrypted with [`PASSWORD`].
    pub(crate) encrypted_pem: PathBuf,
    /// The same as PKCS#12, with [`PASSWORD`].
    pub(crate) pfx: PathBuf,
}

/// The password of encrypted keys.
pub(crate) const PASSWORD: &str = "pass word of a test + key";

impl Application {
    /// Makes files in `folder` whose names begin with `name`.
    pub(crate) fn make(folder: &Path, name: &str) -> Self {
        let file = |suffix: &str| folder.join(format!("{name}{suffix}"));
        let made = Self {
            certificate: file(".pem"),
            issuer: file("-issuer.pem"),
            key: file(".key"),
            pem: file("-all.pem"),
            encrypted_pem: file("-encrypted.pem"),
            pfx: file(".pfx"),
        };
        let (issuer_key, request) = (file("-issuer.key"), file(".csr"));
        let path = |path: &Path| path.display().to_string();
        let subject = format!("/CN={name}");
        let new_key = ["-newkey", "rsa:2048", "-nodes"];
        let mut command = openssl(&["req", "-x509", "-days", "2", "-subj", "/CN=identity-tests applications"]);
        finish(command.args(new_key).arg("-keyout").arg(&issuer_key).arg("-out").arg(&made.issuer), "");
        let mut command = openssl(&["req", "-subj", &subject]);
        finish(command.args(new_key).arg("-keyout").arg(&made.key).arg("-out").arg(&request), "");
        let mut command = openssl(&["x509", "-req", "-days", "2", "-CAcreateserial", "-in"]);
        command.arg(&request).arg("-CA").arg(&made.issuer).arg("-CAkey").arg(&issuer_key);
        finish(command.arg("-out").arg(&made.certificate), "");
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let certificates = read(&made.certificate) + &read(&made.issuer);
        fs::write(&made.pem, read(&made.key) + &certificates).unwrap();
        // Passwords by standard input: arguments are for everybody to see.
        let mut command =
            openssl(&["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "stdin", "-in", &path(&made.key)]);
        let key = finish(&mut command, PASSWORD);
        fs::write(&made.encrypted_pem, text(&key) + &certificates).unwrap();
        let mut command = openssl(&["pkcs12", "-export", "-passout", "stdin", "-in", &path(&made.pem)]);
        finish(command.arg("-out").arg(&made.pfx), PASSWORD);
        made
    }

    /// Its public key as PEM.
    pub(crate) fn public_key(&self) -> String {
        text(&finish(openssl(&["pkey", "-pubout", "-in"]).arg(&self.key), ""))
    }

    /// A JSON Web Token that openssl signs with PS256.
    pub(crate) fn signed(&self, claims: &Value) -> String {
        self.signed_as(&serde_json::json!({"alg": "PS256", "typ": "JWT"}), claims)
    }

    /// The same with a header of which `alg` is PS256 or RS256.
    pub(crate) fn signed_as(&self, head: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(head), part(claims));
        let mut command = openssl(&["dgst", "-sha256", "-sign"]);
        command.arg(&self.key);
        if head["alg"] == "PS256" {
            command.args(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"]);
        }
        let signature = finish(&mut command, &signed);
        format!("{signed}.{}", base64url(&signature))
    }
}

fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments);
    command
}

/// Runs it with that input; its output.
fn finish(command: &mut Command, input: &str) -> Vec<u8> {
    let output = run(command, input);
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    output.stdout
}
