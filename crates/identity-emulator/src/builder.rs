//! Sets up an emulator.

mod entra;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::cluster::BINDING_NAME;
use crate::directory::{Extra, Store};
use crate::emulator::{Emulator, Host};
use crate::endpoints::Challenges;
use crate::faults::Faults;
use crate::files::Files;
use crate::identity::{Identity, TENANT_ID};
use crate::resource::Resources;
use crate::server::listen;
use crate::shared::{Secrets, Settings, Shared};
use crate::source::Source;
use crate::tls::{self, Authority};
use crate::token::Signer;

/// Sets up an [`Emulator`]; see [`Emulator::builder`].
pub struct Builder {
    tenant_id: String,
    system: Option<Identity>,
    users: Vec<Identity>,
    resources: Resources,
    lifetime_secs: i64,
    identity_header: Option<String>,
    service_fabric_secret: Option<String>,
    azure_ml_secret: Option<String>,
    arc_directory: PathBuf,
    directory: Option<PathBuf>,
    extra: Extra,
    settings: Settings,
    dns_names: Vec<String>,
    files: Option<PathBuf>,
    arc_ignores_selectors: bool,
    rsa_certificate: bool,
    addresses: [SocketAddr; Source::ALL.len()],
    control: SocketAddr,
}

impl Builder {
    pub(crate) fn new() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            tenant_id: TENANT_ID.to_owned(),
            system: Some(Identity::system()),
            users: Identity::defaults(),
            resources: Resources::default(),
            lifetime_secs: 86_400,
            identity_header: None,
            service_fabric_secret: None,
            azure_ml_secret: None,
            arc_directory: PathBuf::from(ARC_DIRECTORY),
            directory: None,
            extra: Extra::default(),
            settings: Settings {
                lifetime_secs: 3_599,
                refresh_in_secs: None,
                expires_in_text: false,
                skew_secs: 0,
                refuse_padding: false,
                refuse_replays: false,
                loop_limit: None,
                refresh_lifetime_secs: 90 * 86_400,
                single_use_refresh_tokens: false,
                pkce_is_optional: false,
            },
            dns_names: Vec::new(),
            files: None,
            arc_ignores_selectors: false,
            rsa_certificate: false,
            addresses: [any_port; Source::ALL.len()],
            control: any_port,
        }
    }

    /// Sets the tenant of all tokens and of the key set; the default is [`TENANT_ID`].
    #[must_use]
    pub fn tenant_id(mut self, tenant_id: impl Into<String>) -> Self {
        self.tenant_id = tenant_id.into();
        self
    }

    /// Replaces the user-assigned identities; the default is `blue` and `green`.
    #[must_use]
    pub fn user_assigned(mut self, identities: impl IntoIterator<Item = Identity>) -> Self {
        self.users = identities.into_iter().collect();
        self
    }

    /// Takes the system-assigned identity away.
    ///
    /// Requests that name no identity then get the user-assigned one if there is exactly one, and
    /// are refused otherwise.
    #[must_use]
    pub fn no_system_identity(mut self) -> Self {
        self.system = None;
        self
    }

    /// Makes one more resource known, such as `api://my-app`; Azure's own are known already.
    #[must_use]
    pub fn allow_resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.extra.push(resource.into());
        self
    }

    /// Makes every resource known that looks like an application id URI: `https://..` and `api://..`.
    #[must_use]
    pub fn allow_any_resource(mut self) -> Self {
        self.resources.any = true;
        self
    }

    /// Sets how long tokens live, in seconds; the default is 86,400, as for managed identities.
    #[must_use]
    pub fn lifetime_secs(mut self, seconds: u32) -> Self {
        self.lifetime_secs = seconds.into();
        self
    }

    /// Fixes the secret of App Service (`IDENTITY_HEADER`); the default is a new random one.
    #[must_use]
    pub fn identity_header(mut self, secret: impl Into<String>) -> Self {
        self.identity_header = Some(secret.into());
        self
    }

    /// Fixes the secret of Service Fabric (`IDENTITY_HEADER`); the default is a new random one.
    #[must_use]
    pub fn service_fabric_secret(mut self, secret: impl Into<String>) -> Self {
        self.service_fabric_secret = Some(secret.into());
        self
    }

    /// Fixes the secret of Azure ML (`MSI_SECRET`); the default is a new random one.
    #[must_use]
    pub fn azure_ml_secret(mut self, secret: impl Into<String>) -> Self {
        self.azure_ml_secret = Some(secret.into());
        self
    }

    /// Sets where Azure Arc writes its challenge files; it is made if it does not exist.
    ///
    /// The default is the only directory that official clients accept: `/var/opt/azcmagent/tokens`, or
    /// `C:\ProgramData\AzureConnectedMachineAgent\Tokens` on Windows. Writing there usually takes root.
    #[must_use]
    pub fn arc_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.arc_directory = directory.into();
        self
    }

    /// Makes Azure Arc an old agent, which answers every request with the system-assigned identity
    /// and confirms none.
    #[must_use]
    pub fn old_arc_agent(mut self) -> Self {
        self.arc_ignores_selectors = true;
        self
    }

    /// Gives Service Fabric an RSA certificate, as clusters mostly have.
    ///
    /// The default is one of P-256 with a key made at start. The RSA key is the public test key:
    /// anybody can pretend to have this certificate.
    #[must_use]
    pub fn rsa_certificate(mut self) -> Self {
        self.rsa_certificate = true;
        self
    }

    /// Sets the port of a source on 127.0.0.1; the default, 0, takes any free one.
    #[must_use]
    pub fn port(self, source: Source, port: u16) -> Self {
        self.address(source, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// Sets the port of the control listener on 127.0.0.1; the default, 0, takes any free one.
    #[must_use]
    pub fn control_port(mut self, port: u16) -> Self {
        self.control.set_port(port);
        self
    }

    /// Sets the address of IMDS: a loopback one, or 169.254.169.254 in a network namespace.
    #[must_use]
    pub fn imds_address(self, address: SocketAddr) -> Self {
        self.address(Source::Imds, address)
    }

    fn address(mut self, source: Source, address: SocketAddr) -> Self {
        if let Some(row) = self.addresses.get_mut(source.row()) {
            *row = address;
        }
        self
    }

    /// Starts the emulator on the runtime that this is called on.
    ///
    /// Needs tokio's I/O and time, and only runs while that runtime does: for a test that blocks it,
    /// or that stops tokio's clock, use [`start_in_background`](Self::start_in_background).
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Other`] outside of tokio; [`io::ErrorKind::InvalidInput`] for an address that is
    /// not local and for a tenant, identity, resource, application or secret that cannot work;
    /// [`io::ErrorKind::InvalidData`], with the line, for a [directory](Self::directory) that cannot; otherwise what the system says
    /// when an address cannot be bound or there is no randomness.
    pub async fn start(self) -> io::Result<Emulator> {
        tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let mut tasks = JoinSet::new();
        let mut emulator = self.bind(&mut tasks)?;
        emulator.host = Host::Runtime { _tasks: tasks };
        Ok(emulator)
    }

    /// Starts the emulator on a thread and a runtime of its own; returns when it can be asked.
    ///
    /// Works anywhere: without a runtime, and beside one of any kind.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start), and what the system says when it gives no thread.
    pub fn start_in_background(self) -> io::Result<Emulator> {
        let (ready, started) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("identity-emulator".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                let emulator = self.bind(&mut tasks);
                let is_ready = emulator.is_ok();
                // The caller waits for this; if it is gone, `stopped` completes.
                if ready.send(emulator).is_ok() && is_ready {
                    let _ = stopped.await;
                }
            });
        })?;
        let started = started.recv().map_err(|_| io::Error::other("the emulator's thread is gone"))?;
        let mut emulator = started?;
        emulator.host = Host::Thread { stop: Some(stop), thread: Some(thread) };
        Ok(emulator)
    }

    fn bind(self, tasks: &mut JoinSet<()>) -> io::Result<Emulator> {
        self.check()?;
        let certificate = tls::self_signed(self.rsa_certificate)?;
        let control = bind(self.control)?;
        let control_address = control.local_addr()?;
        let mut addresses = self.addresses;
        let listeners = bind_all(&mut addresses)?;
        let hosts = hosts(&addresses, &self.dns_names);
        let directory = Store::new(self.directory, &self.tenant_id, self.extra, hosts.clone())?;
        let home = directory.last_good().tenants.first().map(|tenant| tenant.id.clone());
        let signer = Signer::new(&home.unwrap_or(self.tenant_id))?;
        let secret = |fixed: Option<String>| fixed.map_or_else(|| signer.random_hex::<32>(), Ok);
        let secrets = Secrets {
            identity_header: secret(self.identity_header)?,
            service_fabric: secret(self.service_fabric_secret)?,
            azure_ml: secret(self.azure_ml_secret)?,
            azure_pipelines: secret(None)?,
            github_actions: secret(None)?,
        };
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend(self.dns_names.iter().cloned());
        let authority = Authority::new(names, None)?;
        let binding = Authority::new(vec![BINDING_NAME.to_owned()], Some(BINDING_NAME.to_owned()))?;
        let files = Files::new(self.files, || signer.random_hex::<8>())?;
        let acceptors = [certificate.acceptor, authority.acceptor()?, binding.acceptor()?];
        let shared = Arc::new(Shared {
            signer,
            system: self.system,
            users: self.users,
            resources: self.resources,
            lifetime_secs: self.lifetime_secs,
            secrets,
            challenges: Mutex::new(Challenges::new(self.arc_directory)),
            arc_ignores_selectors: self.arc_ignores_selectors,
            fabric_tokens: Mutex::default(),
            faults: Faults::new(),
            log: Mutex::default(),
            connections: Mutex::default(),
            changed: watch::Sender::new(()),
            started: Instant::now(),
            certificate_pem: certificate.pem,
            thumbprint: certificate.thumbprint,
            origin: format!("http://{control_address}"),
            directory,
            settings: Mutex::new(self.settings),
            hosts,
            used: Mutex::default(),
            asked: Mutex::default(),
            grants: Mutex::default(),
            authority,
            binding,
            files,
        });
        let emulator = Emulator { shared: Arc::clone(&shared), addresses, host: Host::None };
        emulator.shared.write_files()?;
        // Only now, when nothing can fail any more, does anybody answer.
        tasks.spawn(listen(control, Arc::clone(&shared), None, None));
        for (source, listener) in listeners {
            let [service_fabric, authority, binding] = &acceptors;
            let tls = match source {
                Source::ServiceFabric => Some(service_fabric.clone()),
                Source::IdentityBinding => Some(binding.clone()),
                source => source.has_authority_certificate().then(|| authority.clone()),
            };
            tasks.spawn(listen(listener, Arc::clone(&shared), Some(source), tls));
        }
        Ok(emulator)
    }

    fn check(&self) -> io::Result<()> {
        let invalid = |message: String| Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        for (source, address) in Source::ALL.into_iter().zip(&self.addresses) {
            let is_imds_own = source == Source::Imds && address.ip() == IMDS_ADDRESS;
            if !address.ip().is_loopback() && !is_imds_own {
                return invalid(format!("{address} is neither a loopback address nor {IMDS_ADDRESS}"));
            }
        }
        if self.tenant_id.is_empty()
            || !self.tenant_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        {
            return invalid("the tenant id must consist of letters, digits, hyphens and dots".to_owned());
        }
        for secret in [&self.identity_header, &self.service_fabric_secret, &self.azure_ml_secret] {
            // They travel in a header and in an environment variable.
            if secret
                .as_ref()
                .is_some_and(|secret| secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()))
            {
                return invalid("a secret must consist of visible ASCII characters".to_owned());
            }
        }
        for name in &self.dns_names {
            let is_label = |label: &str| {
                !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            };
            if !name.split('.').all(is_label) {
                return invalid(format!("{name:?} is no host name without a port"));
            }
        }
        for resource in &self.resources.extra {
            if resource.is_empty() || !resource.bytes().all(|byte| byte.is_ascii_graphic()) {
                return invalid(format!("the resource {resource:?} must consist of visible ASCII characters"));
            }
        }
        for identity in &self.users {
            for id in [identity.client_id(), identity.object_id(), identity.resource_id()] {
                if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return invalid("the ids of an identity must consist of visible ASCII characters".to_owned());
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("tenant_id", &self.tenant_id)
            .field("system", &self.system)
            .field("users", &self.users)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// The listeners of all sources; `addresses` then has the ports that were free.
fn bind_all(addresses: &mut [SocketAddr; Source::ALL.len()]) -> io::Result<Vec<(Source, TcpListener)>> {
    let mut listeners = Vec::with_capacity(addresses.len() + 4);
    for (source, address) in Source::ALL.into_iter().zip(addresses) {
        let (listener, second) = if source.is_tls() && source != Source::ServiceFabric {
            bind_both(*address)?
        } else {
            (bind(*address)?, None)
        };
        *address = listener.local_addr()?;
        listeners.push((source, listener));
        listeners.extend(second.map(|second| (source, second)));
    }
    Ok(listeners)
}

/// A listener on an address and, if that is 127.0.0.1 and the machine has IPv6, on the same port of ::1:
/// `localhost` means either.
fn bind_both(address: SocketAddr) -> io::Result<(TcpListener, Option<TcpListener>)> {
    let mut tries = 8;
    loop {
        let first = bind(address)?;
        let port = first.local_addr()?.port();
        if address.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
            return Ok((first, None));
        }
        tries -= 1;
        match bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))) {
            Ok(second) => return Ok((first, Some(second))),
            // Somebody else has the port there; any other will do.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() == 0 && tries > 0 => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(_) => return Ok((first, None)),
        }
    }
}

/// The hosts, with ports, at which Entra can be asked.
fn hosts(addresses: &[SocketAddr; Source::ALL.len()], names: &[String]) -> Vec<String> {
    let mut hosts = Vec::new();
    for source in [Source::Entra, Source::WorkloadIdentity] {
        let port = addresses.get(source.row()).map_or(0, SocketAddr::port);
        let own = ["localhost", "127.0.0.1", "[::1]"].into_iter().chain(names.iter().map(String::as_str));
        for name in own {
            hosts.push(format!("{name}:{port}"));
            if port == 443 {
                hosts.push(name.to_owned());
            }
        }
    }
    hosts.extend(names.iter().cloned());
    hosts
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let told = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a fixed port can be used again at once after a restart; on Windows it would mean that
    // two programs share it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address).map_err(told)?;
    socket.listen(BACKLOG).map_err(told)
}

/// Where the agent of Azure Arc keeps its challenge files.
///
/// Source: "Authenticate against Azure resources with Azure Arc-enabled servers".
const ARC_DIRECTORY: &str =
    if cfg!(windows) { r"C:\ProgramData\AzureConnectedMachineAgent\Tokens" } else { "/var/opt/azcmagent/tokens" };
/// The address of the real IMDS.
pub(crate) const IMDS_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
/// Connections that wait to be accepted: the highest limit of Linux as it comes.
const BACKLOG: u32 = 4_096;
