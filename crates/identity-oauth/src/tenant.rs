//! Which tenant a request is for.

use identity_core::{Env, Error, ErrorKind, Result, check};
use tracing::info;

use crate::{authority::is_adfs, env};

/// The tenant of a credential, and those that a request may ask for in its place.
#[derive(Clone, Debug)]
pub struct Tenants {
    own: String,
    allowed: Vec<String>,
    is_pinned: bool,
}

impl Tenants {
    /// `own` is empty where the tenant is not the credential's to choose; then a request may name any. `allowed` is what the
    /// program allows; `None` leaves it to the variable `AZURE_ADDITIONALLY_ALLOWED_TENANTS`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if one that is allowed is no tenant, or the variable is not Unicode.
    pub fn new(own: &str, allowed: Option<Vec<String>>, env: &dyn Env) -> Result<Self> {
        let (allowed, source) = match (allowed, env.text(env::ADDITIONALLY_ALLOWED_TENANTS)?) {
            (Some(allowed), _) => (allowed, "an additionally allowed tenant"),
            (None, Some(text)) => {
                let listed = text.split(';').map(str::trim).filter(|tenant| !tenant.is_empty());
                (listed.map(str::to_owned).collect(), env::ADDITIONALLY_ALLOWED_TENANTS)
            }
            (None, None) => (Vec::new(), ""),
        };
        for tenant in allowed.iter().filter(|tenant| *tenant != ANY) {
            check::tenant_id(tenant).map_err(|error| error.with_context(source))?;
        }
        let is_pinned = is_adfs(own) || env.text(env::DISABLE_MULTITENANT_AUTH)?.is_some();
        Ok(Self { own: own.to_owned(), allowed, is_pinned })
    }

    /// The credential's own tenant.
    #[must_use]
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The tenant to ask when a request names one; empty for the credential's own. Case does not matter.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if it is no tenant, or none that is allowed.
    ///
    /// Source: azure-identity 1.27.0, `_internal/utils.py` (`resolve_tenant`); the case as Azure.Identity 1.15 (.NET).
    pub fn resolve<'a>(&self, requested: &'a str) -> Result<&'a str> {
        if requested.eq_ignore_ascii_case(&self.own) {
            return Ok("");
        }
        check::tenant_id(requested)?;
        if self.is_pinned {
            info!(
                own = self.own,
                requested, "the tenant is pinned: a request for another one gets the credential's own"
            );
            return Ok("");
        }
        let is_allowed = |allowed: &String| allowed == ANY || allowed.eq_ignore_ascii_case(requested);
        let is_open = self.allowed.is_empty() && self.own.eq_ignore_ascii_case("organizations");
        if self.own.is_empty() || is_open || self.allowed.iter().any(is_allowed) {
            info!(own = self.own, requested, "a request is for another tenant");
            return Ok(requested);
        }
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "a token of the tenant {requested} was asked for, and this credential is for {} only; add the tenant with additionally_allowed_tenants, or \"*\" for any, or list it in {}",
                self.own,
                env::ADDITIONALLY_ALLOWED_TENANTS
            ),
        ))
    }
}

const ANY: &str = "*";

#[cfg(test)]
mod tests {
    use identity_core::fakes::FakeEnv;

    use super::*;

    const PINNED: (&str, &str) = ("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH", "1");
    const LISTED: (&str, &str) = ("AZURE_ADDITIONALLY_ALLOWED_TENANTS", " other ;; third;");

    #[test]
    fn the_first_rule_that_fits_decides() {
        /// The own tenant, the list of the program, variables, the requested tenant, which one is asked.
        type Row<'a> = (&'a str, Option<&'a [&'a str]>, &'a [(&'a str, &'a str)], &'a str, Option<&'a str>);
        let rows: [Row<'_>; 18] = [
            ("own", None, &[], "own", Some("")),
            ("own", None, &[], "OWN", Some("")),
            ("adfs", Some(&["*"]), &[], "other", Some("")),
            ("own", Some(&["*"]), &[PINNED], "other", Some("")),
            ("own", None, &[("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH", "")], "other", None),
            ("own", Some(&["*"]), &[], "other", Some("other")),
            ("own", Some(&["other"]), &[], "Other", Some("Other")),
            ("own", Some(&["x"]), &[], "other", None),
            ("own", None, &[LISTED], "third", Some("third")),
            ("own", Some(&["x"]), &[LISTED], "third", None),
            ("own", Some(&[]), &[LISTED], "third", None),
            ("organizations", None, &[], "other", Some("other")),
            ("organizations", Some(&["x"]), &[], "other", None),
            ("own", None, &[], "other", None),
            ("own", Some(&["*"]), &[], "../x", None),
            ("", None, &[], "other", Some("other")),
            ("", Some(&["x"]), &[], "other", Some("other")),
            ("", None, &[PINNED], "other", Some("")),
        ];
        for (own, allowed, vars, requested, expected) in rows {
            let allowed = allowed.map(|list| list.iter().map(ToString::to_string).collect());
            let tenants = Tenants::new(own, allowed, &FakeEnv::new(vars)).unwrap();
            let resolved = tenants.resolve(requested);
            assert_eq!(resolved.as_ref().ok().copied(), expected, "{own} {requested}");
            if let Err(error) = resolved {
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            }
        }
    }

    #[test]
    fn a_list_with_what_is_no_tenant_is_refused() {
        let env = FakeEnv::new(&[("AZURE_ADDITIONALLY_ALLOWED_TENANTS", "a/b")]);
        assert_eq!(Tenants::new("own", None, &env).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
