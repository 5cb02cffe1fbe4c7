//! Token exchange: the platform's token in a file proves who it is, as for workload identity.

#[cfg(feature = "workload")]
pub(crate) use self::built_in::{Exchange, choose};
#[cfg(not(feature = "workload"))]
pub(crate) use self::lacking::{Exchange, choose};

/// What the builder was told of the exchange and its authority.
pub(crate) struct Authority {
    /// Whether there is to be no exchange.
    pub(crate) is_excluded: bool,
    #[cfg_attr(not(feature = "workload"), expect(dead_code, reason = "there is no exchange"))]
    pub(crate) is_trusted: bool,
    /// In place of the variable.
    #[cfg(feature = "workload")]
    pub(crate) host: Option<String>,
}

#[cfg(feature = "workload")]
mod built_in {
    use identity_cache::{Ask, Fetched};
    use identity_core::{BoxFuture, Platform, Result};
    use identity_workload::{TokenExchange, WorkloadIdentityCredential};

    use super::Authority;
    use crate::{
        endpoint::{UserAssigned, takes_no},
        env::AZURE_FEDERATED_TOKEN_FILE,
        source::{IdKind, TOKEN_EXCHANGE},
    };

    /// Exchanges the token in the file.
    pub(crate) struct Exchange(Box<TokenExchange>);

    impl Exchange {
        pub(crate) fn token(&self, ask: Ask) -> BoxFuture<'_, Result<Fetched>> {
            Box::pin(async move {
                let fetched = self.0.token(&ask).await.map_err(|error| error.with_context(TOKEN_EXCHANGE))?;
                Ok(Fetched { origin: TOKEN_EXCHANGE, ..fetched })
            })
        }

        /// Whose tokens it gets.
        pub(crate) fn client_id(&self) -> &str {
            self.0.client_id()
        }

        /// Changes when the file changes.
        pub(crate) fn generation(&self) -> u64 {
            self.0.generation()
        }
    }

    /// The exchange by this platform's variables; the inner result is for builds that lack it.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` naming the variable that is missing or malformed, or the id that is not taken.
    pub(crate) fn choose(
        platform: &Platform,
        id: Option<&UserAssigned>,
        authority: &Authority,
    ) -> Result<Result<Exchange>> {
        let mut builder = WorkloadIdentityCredential::builder();
        match id {
            None => {}
            Some(id) if id.kind == IdKind::Client => builder = builder.client_id(id.value.clone()),
            Some(id) => return Err(takes_no(id, TOKEN_EXCHANGE, AZURE_FEDERATED_TOKEN_FILE)),
        }
        if authority.is_trusted {
            builder = builder.disable_instance_discovery();
        }
        if let Some(host) = &authority.host {
            builder = builder.authority(host);
        }
        TokenExchange::new(builder, platform).map(|exchange| Ok(Exchange(Box::new(exchange))))
    }
}

#[cfg(not(feature = "workload"))]
mod lacking {
    use identity_core::{Error, ErrorKind, Platform, Result};

    use super::Authority;
    use crate::endpoint::UserAssigned;

    /// There is none.
    pub(crate) enum Exchange {}

    impl Exchange {
        pub(crate) fn client_id(&self) -> &str {
            match *self {}
        }
    }

    /// What callers are told.
    #[expect(clippy::unnecessary_wraps, reason = "the signature of the build that has the feature")]
    pub(crate) fn choose(_: &Platform, _: Option<&UserAssigned>, _: &Authority) -> Result<Result<Exchange>> {
        Ok(Err(Error::new(ErrorKind::InvalidArgument, LACKING)))
    }

    const LACKING: &str = "AZURE_FEDERATED_TOKEN_FILE, AZURE_AUTHORITY_HOST and AZURE_TENANT_ID ask for workload identity, which this build lacks: turn on the feature `workload`, or unset AZURE_FEDERATED_TOKEN_FILE to use IMDS";
}
