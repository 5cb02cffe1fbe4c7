//! The measured programs, and running their scenes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::serve::Server;
use crate::shell::Cmd;
use crate::size::PROFILE;
use crate::workspace::Workspace;

/// Where the programs of each side lie.
pub(crate) struct Programs {
    pub(crate) ours: Side,
    pub(crate) floor_msi: PathBuf,
    pub(crate) floor_client_secret: PathBuf,
    pub(crate) floor_cached: PathBuf,
    /// Cached calls of a credential that runs a tool, profile `speed`.
    pub(crate) cli: PathBuf,
    /// Cached calls of the default chain, profile `speed`.
    pub(crate) default_chain: PathBuf,
    pub(crate) peer: Option<Side>,
}

/// The same programs on one library.
pub(crate) struct Side {
    /// One token of App Service, profile `size`.
    pub(crate) msi: PathBuf,
    /// One token of Entra, profile `size`.
    pub(crate) client_secret: PathBuf,
    /// Cached calls, profile `speed`.
    pub(crate) cached: PathBuf,
    /// Situations, profile `release`.
    pub(crate) scenes: PathBuf,
}

const SPEED: &str = "speed";

impl Programs {
    pub(crate) fn build(workspace: &Workspace, with_peer: bool) -> Result<Self> {
        Ok(Self {
            ours: Side {
                msi: workspace.build("program-msi", PROFILE)?,
                client_secret: workspace.build("program-client-secret", PROFILE)?,
                cached: workspace.build("program-cached", SPEED)?,
                scenes: workspace.build("program-scenes", "release")?,
            },
            floor_msi: workspace.build_peer("floor-msi", PROFILE)?,
            floor_client_secret: workspace.build_peer("floor-client-secret", PROFILE)?,
            floor_cached: workspace.build_peer("floor-cached", SPEED)?,
            cli: workspace.build("program-cli", SPEED)?,
            default_chain: workspace.build("program-default-chain", SPEED)?,
            peer: if with_peer {
                Some(Side {
                    msi: workspace.build_peer("peer-msi", PROFILE)?,
                    client_secret: workspace.build_peer("peer-client-secret", PROFILE)?,
                    cached: workspace.build_peer("peer-cached", SPEED)?,
                    scenes: workspace.build_peer("peer-scenes", "release")?,
                })
            } else {
                None
            },
        })
    }
}

/// What a scene printed: names and numbers.
pub(crate) struct Scene(BTreeMap<String, f64>);

impl Scene {
    pub(crate) fn run(program: &Path, server: &Server, arguments: &[&str]) -> Result<Self> {
        Self::of(server.point(Cmd::new(program).args(arguments)))
    }

    pub(crate) fn of(program: Cmd) -> Result<Self> {
        let output = program.run()?;
        let pairs = output.stdout.lines().filter_map(|line| line.split_once(' '));
        Ok(Self(pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()))
    }

    pub(crate) fn number(&self, name: &str) -> Result<f64> {
        self.0.get(name).copied().ok_or_else(|| format!("the scene printed no {name}"))
    }
}
