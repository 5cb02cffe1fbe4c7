/// What a single request may ask for beyond its scopes. Everything is optional.
#[derive(Clone, Debug, Default)]
pub struct TokenRequestOptions {
    claims: Option<String>,
    tenant_id: Option<String>,
    cae: bool,
    context: CallContext,
}

impl TokenRequestOptions {
    /// Options that ask for nothing special.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the claims that a resource demanded in a challenge: JSON text, at most 16 KiB.
    ///
    /// A request with claims is never answered from a cache; the token it brings replaces the cached one.
    #[must_use]
    pub fn with_claims(mut self, claims: impl Into<String>) -> Self {
        self.claims = Some(claims.into()).filter(|claims| !claims.is_empty());
        self
    }

    /// Asks for a token of another tenant than the credential's own. Credentials without tenants ignore it.
    #[must_use]
    pub fn with_tenant_id(mut self, tenant_id: impl Into<String>) -> Self {
        self.tenant_id = Some(tenant_id.into()).filter(|tenant| !tenant.is_empty());
        self
    }

    /// Declares that the caller handles claims challenges (continuous access evaluation), so that the service may
    /// issue a long-lived token that it can revoke. Such tokens are cached apart from others.
    #[must_use]
    pub fn enable_cae(mut self) -> Self {
        self.cae = true;
        self
    }

    /// Says where the call comes from. Chains set it; a wrapper around a credential passes on what it was given.
    #[must_use]
    pub fn with_context(mut self, context: CallContext) -> Self {
        self.context = context;
        self
    }

    /// The claims, if any; never empty.
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    /// The requested tenant, if any; never empty.
    #[must_use]
    pub fn tenant_id(&self) -> Option<&str> {
        self.tenant_id.as_deref()
    }

    /// Whether the caller handles claims challenges.
    #[must_use]
    pub fn is_cae_enabled(&self) -> bool {
        self.cae
    }

    /// Where the call comes from.
    #[must_use]
    pub fn context(&self) -> CallContext {
        self.context
    }
}

/// Who calls a credential. It decides how patient the credential is, never which token it returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallContext {
    /// The program itself: the credential was chosen on purpose and uses its whole retry budget.
    #[default]
    Alone,
    /// A chain of credentials that somebody put together: a quick "not here" is worth more than patience.
    Chain,
    /// `DefaultAzureCredential`: as `Chain`, and failures of developer tools count as "not here".
    DefaultChain,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_text_counts_as_absent() {
        let options = TokenRequestOptions::new().with_claims("").with_tenant_id("");
        assert_eq!((options.claims(), options.tenant_id()), (None, None));
    }

    #[test]
    fn setters_are_read_back() {
        let options = TokenRequestOptions::new()
            .with_claims("{}")
            .with_tenant_id("t")
            .enable_cae()
            .with_context(CallContext::Chain);
        assert_eq!((options.claims(), options.tenant_id()), (Some("{}"), Some("t")));
        assert!(options.is_cae_enabled());
        assert_eq!(options.context(), CallContext::Chain);
    }
}
