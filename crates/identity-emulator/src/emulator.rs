//! A running emulator.

mod choice;
mod entra;
mod people;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::builder::{Builder, IMDS_ADDRESS};
use crate::faults::Faults;
use crate::identity::Identity;
use crate::lock;
use crate::record::Request;
use crate::shared::{Connections, Shared};
use crate::source::Source;

/// A running emulator. It stops, and closes every connection, when dropped.
pub struct Emulator {
    pub(crate) shared: Arc<Shared>,
    pub(crate) addresses: [SocketAddr; Source::ALL.len()],
    pub(crate) host: Host,
}

/// What runs the tasks, and stops them when dropped.
pub(crate) enum Host {
    None,
    Runtime { _tasks: JoinSet<()> },
    Thread { stop: Option<oneshot::Sender<()>>, thread: Option<JoinHandle<()>> },
}

impl Emulator {
    /// Sets up an emulator with a system-assigned identity and two user-assigned ones on free ports.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Steers how requests are answered.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The environment variables with which a client of any language finds that source.
    ///
    /// For IMDS at its real address there are none, nor for a source for which the [directory](crate::Builder::directory) has no
    /// application: [`check_variables`](Self::check_variables) says what is missing. A client must not have the variables of
    /// another source.
    #[must_use]
    pub fn variables(&self, source: Source) -> Vec<(String, String)> {
        let endpoint = self.endpoint(source);
        let secrets = &self.shared.secrets;
        let pairs = match source {
            Source::Imds if self.address(source).ip() == IMDS_ADDRESS => vec![],
            Source::Imds => vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", self.origin(source))],
            Source::AppService => {
                vec![("IDENTITY_ENDPOINT", endpoint), ("IDENTITY_HEADER", secrets.identity_header.clone())]
            }
            Source::AzureArc => vec![("IDENTITY_ENDPOINT", endpoint), ("IMDS_ENDPOINT", self.origin(source))],
            Source::ServiceFabric => vec![
                ("IDENTITY_ENDPOINT", endpoint),
                ("IDENTITY_HEADER", secrets.service_fabric.clone()),
                ("IDENTITY_SERVER_THUMBPRINT", self.shared.thumbprint.clone()),
            ],
            Source::AzureMl => {
                vec![("MSI_ENDPOINT", endpoint), ("MSI_SECRET", secrets.azure_ml.clone())]
            }
            Source::CloudShell => vec![("MSI_ENDPOINT", endpoint)],
            Source::Entra
            | Source::WorkloadIdentity
            | Source::IdentityBinding
            | Source::AzurePipelines
            | Source::GithubActions => self.entra_variables(source),
        };
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Tries out the directory for the challenge files of Azure Arc: makes it, writes a file and removes it.
    ///
    /// Else the first request finds out, and is answered with an internal error.
    ///
    /// # Errors
    ///
    /// What the system says, with the directory's path. The default directory usually takes root.
    pub fn check_arc_directory(&self) -> io::Result<()> {
        let (name, key) = (self.shared.signer.random_hex::<16>()?, self.shared.signer.random_hex::<32>()?);
        let mut challenges = lock(&self.shared.challenges);
        challenges.create(&name, key.clone())?;
        challenges.redeem(&key);
        Ok(())
    }

    /// The address of a source's listener.
    #[must_use]
    pub fn address(&self, source: Source) -> SocketAddr {
        let fallback = SocketAddr::from(([127, 0, 0, 1], 0));
        self.addresses.get(source.row()).copied().unwrap_or(fallback)
    }

    /// The URL at which a source answers token requests, without a query.
    #[must_use]
    pub fn endpoint(&self, source: Source) -> String {
        let realm = match source {
            Source::Entra | Source::WorkloadIdentity => format!("/{}", self.tenant_id()),
            _ => String::new(),
        };
        format!("{}{realm}{}", self.origin(source), source.token_path())
    }

    fn origin(&self, source: Source) -> String {
        let address = self.address(source);
        match source {
            Source::ServiceFabric => format!("https://{address}"),
            source if source.is_tls() => format!("https://localhost:{}", address.port()),
            _ => format!("http://{address}"),
        }
    }

    /// The origin of the control listener, such as `http://127.0.0.1:4000`; the switches are below `/__emulator/`.
    #[must_use]
    pub fn control_origin(&self) -> &str {
        &self.shared.origin
    }

    /// The URL of the key set that verifies the tokens.
    #[must_use]
    pub fn keys_url(&self) -> String {
        format!("{}/{}/discovery/v2.0/keys", self.shared.origin, self.tenant_id())
    }

    /// The tenant of all tokens.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        self.shared.signer.tenant_id()
    }

    /// The system-assigned identity, if there is one.
    #[must_use]
    pub fn system_assigned(&self) -> Option<&Identity> {
        self.shared.system.as_ref()
    }

    /// The user-assigned identities.
    #[must_use]
    pub fn user_assigned(&self) -> &[Identity] {
        &self.shared.users
    }

    /// The SHA-1 of Service Fabric's certificate, 40 hexadecimal digits in capitals.
    #[must_use]
    pub fn service_fabric_thumbprint(&self) -> &str {
        &self.shared.thumbprint
    }

    /// The certificate of Service Fabric as PEM, for clients that trust certificates and not thumbprints.
    #[must_use]
    pub fn service_fabric_certificate(&self) -> &str {
        &self.shared.certificate_pem
    }

    /// The requests since the start or the last [`clear_requests`](Self::clear_requests), oldest first.
    ///
    /// The newest are kept, up to about 64 MiB.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.log).all()
    }

    /// How many requests came to a source, or to all with `None`, since the start or the last
    /// [`clear_requests`](Self::clear_requests); those on the control listener do not count.
    #[must_use]
    pub fn request_count(&self, source: impl Into<Option<Source>>) -> u64 {
        lock(&self.shared.log).count(source.into())
    }

    /// Forgets the requests and their counts.
    pub fn clear_requests(&self) {
        lock(&self.shared.log).clear();
    }

    /// What happened to the connections of a source.
    #[must_use]
    pub fn connections(&self, source: Source) -> Connections {
        lock(&self.shared.connections).get(source.row()).copied().unwrap_or_default()
    }

    /// Waits until `condition` holds; it is looked at again whenever a request or a connection comes,
    /// is answered or ends.
    ///
    /// Needs no runtime of tokio. Dropping the future does no harm.
    pub async fn wait_until(&self, mut condition: impl FnMut(&Self) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        while !condition(self) {
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Self::Thread { stop, thread } = self {
            drop(stop.take());
            if let Some(thread) = thread.take() {
                // It does not panic, and if it did there would be nothing left to stop.
                let _ = thread.join();
            }
        }
    }
}

/// Prints no secret.
impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("tenant_id", &self.tenant_id())
            .field("control", &self.shared.origin)
            .field("addresses", &self.addresses)
            .field("faults", &self.shared.faults)
            .finish_non_exhaustive()
    }
}
