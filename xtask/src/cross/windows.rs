//! Windows, on a Linux machine that has MinGW-w64's compiler and Wine.
//!
//! Where rustup has the target, its standard library is used. Otherwise `cargo xtask cross --windows` unpacks rustc and
//! its sources from Debian's packages into target/cross/windows, which installs nothing, and builds the library there.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::report::Report;
use crate::shell::{Cmd, has};
use crate::workspace::Workspace;

pub(super) const TARGET: &str = "x86_64-pc-windows-gnu";
const COMPILER: &str = "x86_64-w64-mingw32-gcc";

/// Whose tests run under Wine; all are compiled.
const TESTED: [&str; 10] = [
    "identity-core",
    "identity-cache",
    "identity-tokio",
    "identity-oauth",
    "identity-msi",
    "identity-confidential",
    "identity-workload",
    "identity-certificate",
    "identity-cli",
    "identity-chain",
];

pub(super) fn run(workspace: &Workspace, report: &mut Report, from_rustup: bool, build: bool) {
    report.section("Windows");
    let programs = [(COMPILER, "gcc-mingw-w64-x86-64"), ("wine", "wine")];
    let missing: Vec<String> = programs
        .iter()
        .filter(|(program, _)| !has(program))
        .map(|(program, package)| format!("{program} (Debian: {package})"))
        .collect();
    let rust = Rust { folder: workspace.target.join("cross/windows"), from_rustup };
    if !missing.is_empty() {
        report.note(&format!("absent: {}", missing.join(", ")));
        return;
    }
    if !from_rustup && !rust.library().exists() {
        if !build {
            report.note(&format!("absent: target {TARGET}; cargo xtask cross --windows builds it"));
            return;
        }
        if !report.step("Rust for Windows", "cargo xtask cross --windows", || rust.build()) {
            return;
        }
    }
    let check = ["check", "--workspace", "--exclude", "xtask", "--all-features", "--all-targets"];
    report.command("everything but xtask", &rust.cargo(&check));
    if !report.step("Wine", "cargo xtask cross", || rust.prepare_wine()) {
        return;
    }
    for package in TESTED {
        let test = ["test", "--package", package, "--all-features", "--lib", "--tests"];
        report.command(&format!("{package} under Wine"), &rust.cargo(&test));
    }
}

/// Rust that builds for Windows.
struct Rust {
    folder: PathBuf,
    from_rustup: bool,
}

impl Rust {
    fn cargo(&self, arguments: &[&str]) -> Cmd {
        let command = Cmd::cargo(arguments)
            .args(&["--locked", "--target", TARGET])
            .env("CARGO_TARGET_DIR", self.folder.join("build"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", COMPILER)
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "wine")
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS", "--deny=warnings");
        self.in_wine(if self.from_rustup { command } else { self.with_rustc(command) })
    }

    fn in_wine(&self, command: Cmd) -> Cmd {
        command.env("WINEPREFIX", self.prefix()).env("WINEDEBUG", "-all").unset("DISPLAY")
    }

    fn with_rustc(&self, command: Cmd) -> Cmd {
        let libraries = self.system().join("lib/x86_64-linux-gnu");
        command.env("RUSTC", self.rustc()).env("LD_LIBRARY_PATH", libraries)
    }

    /// Rust as Debian lays it out.
    fn system(&self) -> PathBuf {
        self.folder.join("rust/usr")
    }

    fn rustc(&self) -> PathBuf {
        self.system().join("bin/rustc")
    }

    /// Where rustc looks for the standard library; complete if it exists.
    fn library(&self) -> PathBuf {
        self.system().join("lib/rustlib").join(TARGET)
    }

    fn prefix(&self) -> PathBuf {
        self.folder.join("wine")
    }

    fn build(&self) -> Result<String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.folder.display());
        let root = self.folder.join("rust");
        if root.exists() {
            fs::remove_dir_all(&root).map_err(failed)?;
        }
        let packages = root.join("packages");
        fs::create_dir_all(&packages).map_err(failed)?;
        download(&packages)?;
        for package in files(&packages, "deb").map_err(failed)? {
            Cmd::new("dpkg-deb").args(&["--extract"]).arg(package).arg(&root).run()?;
        }
        fs::remove_dir_all(&packages).map_err(failed)?;

        // What cargo's unstable build-std does, once for all: afterwards, nothing of ours is built with unstable flags.
        let source = self.system().join("lib/rustlib/src/rust/library");
        let build = root.join("build");
        let std = Cmd::cargo(&["build", "--release", "--locked", "--package", "sysroot", "--target", TARGET])
            .args(&["--features", "backtrace,panic-unwind", "--target-dir"])
            .arg(&build)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zforce-unstable-if-unmarked -Cembed-bitcode=yes")
            .folder(&source);
        self.with_rustc(std).run()?;
        let unfinished = root.join("library");
        fs::create_dir_all(unfinished.join("lib")).map_err(failed)?;
        for file in files(&build.join(TARGET).join("release/deps"), "rlib").map_err(failed)? {
            let name = file.file_name().unwrap_or_default();
            fs::copy(&file, unfinished.join("lib").join(name)).map_err(failed)?;
        }
        for name in ["rsbegin", "rsend"] {
            let start = Cmd::new(self.rustc())
                .args(&["--target", TARGET, "--crate-type", "lib", "--emit=obj", "-o"])
                .arg(unfinished.join("lib").join(name).with_extension("o"))
                .arg(source.join("rtstartup").join(name).with_extension("rs"))
                .env("RUSTC_BOOTSTRAP", "1");
            self.with_rustc(start).run()?;
        }
        fs::remove_dir_all(&build).map_err(failed)?;
        fs::rename(&unfinished, self.library()).map_err(failed)?;
        let version = self.with_rustc(Cmd::new(self.rustc()).args(&["--version"])).run()?.stdout;
        Ok(version.trim_end().to_owned())
    }

    /// A folder for Wine in which programs by Rust start.
    fn prepare_wine(&self) -> Result<String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.folder.display());
        fs::create_dir_all(&self.folder).map_err(failed)?;
        self.in_wine(Cmd::new("wine").args(&["wineboot", "--init"])).run()?;
        let library = self.prefix().join("drive_c/windows/system32/bcryptprimitives.dll");
        if !library.exists() {
            let source = self.folder.join("bcryptprimitives.c");
            fs::write(&source, BCRYPTPRIMITIVES).map_err(failed)?;
            Cmd::new(COMPILER).args(&["-shared", "-o"]).arg(library).arg(source).args(&["-ladvapi32"]).run()?;
        }
        Ok(Cmd::new("wine").args(&["--version"]).run()?.stdout.trim_end().to_owned())
    }
}

/// Gets rustc, its sources and what they need that an ordinary machine lacks.
fn download(folder: &Path) -> Result<()> {
    let mut names = vec!["rustc-web".to_owned(), "rust-web-src".to_owned()];
    let mut done = 0;
    while let Some(name) = names.get(done).cloned() {
        Cmd::new("apt-get").args(&["download", &name]).folder(folder).run()?;
        let depends = Cmd::new("apt-cache").args(&["depends", &name]).env("LC_ALL", "C").run()?.stdout;
        for needed in depends.lines().filter_map(|line| line.trim_start().strip_prefix("Depends: ")) {
            let wanted = needed.starts_with("libstd-rust-web") || needed.starts_with("libllvm");
            if wanted && !names.iter().any(|name| name == needed) {
                names.push(needed.to_owned());
            }
        }
        done += 1;
    }
    Ok(())
}

fn files(folder: &Path, extension: &str) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let paths: Vec<PathBuf> = entries.collect::<std::io::Result<_>>()?;
    Ok(paths.into_iter().filter(|path| path.extension() == Some(OsStr::new(extension))).collect())
}

/// The one function of this library of Windows, where std gets its seeds; older Wine lacks it.
const BCRYPTPRIMITIVES: &str = "\
#include <stddef.h>
unsigned char SystemFunction036(void *bytes, unsigned long length);
int ProcessPrng(unsigned char *bytes, size_t length) { return SystemFunction036(bytes, (unsigned long)length); }
";
