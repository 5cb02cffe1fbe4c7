//! Proxies that the environment names are never asked for a token of a managed identity.

use std::{io::ErrorKind, net::TcpListener, process::Command};

use identity_emulator::{Emulator, Source};
use identity_msi::ManagedIdentityCredential;

use crate::{get, runtime};

/// Every spelling that some program reads.
const SPELLINGS: [&str; 12] = [
    "http_proxy",
    "HTTP_PROXY",
    "Http_Proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "All_Proxy",
    "socks_proxy",
    "SOCKS_PROXY",
    "REQUEST_METHOD_PROXY",
    "PROXY",
];

/// Tells the child who it is.
const CHILD: &str = "IDENTITY_TESTS_CHILD";

#[test]
fn proxies_see_not_a_byte() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let address = proxy.local_addr().unwrap();
    let emulator = Emulator::builder().start_in_background().unwrap();
    let forms = [format!("http://{address}"), address.to_string(), format!("socks5h://user:pass@{address}/")];
    let sources = [Source::Imds, Source::AppService, Source::ServiceFabric, Source::AzureMl, Source::CloudShell];
    for (source, form) in sources.into_iter().zip(forms.iter().cycle()) {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "proxies::child", "--ignored", "--nocapture"]).env_clear().env(CHILD, source.name());
        child.envs(emulator.variables(source)).envs(SPELLINGS.map(|name| (name, form))).env("NO_PROXY", "");
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed") && said.contains(TOLD), "{source}: {said}");
        assert_eq!(emulator.request_count(source), 1, "{source}");
        let asked = proxy.accept();
        assert!(asked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{source}: the proxy was asked");
    }
}

/// Not a test: the process that the one above starts, with variables of its own.
#[test]
#[ignore = "only another test starts it"]
fn child() {
    if std::env::var_os(CHILD).is_some() {
        let credential = ManagedIdentityCredential::builder().build().unwrap();
        let token = runtime().block_on(get(&credential)).unwrap();
        assert!(token.secret().starts_with("eyJ"));
        println!("{TOLD}");
    }
}

const TOLD: &str = "the child has a token";
