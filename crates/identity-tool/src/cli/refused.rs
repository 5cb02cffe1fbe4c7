//! Options that would put a secret on the command line.

use std::fmt;

use clap::Args;

/// Names that somebody may try for a secret. They are known to say where it belongs, without showing it.
#[derive(Args)]
pub(crate) struct RefusedArgs {
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", allow_hyphen_values = true)]
    client_secret: Option<String>,
    #[arg(
        long,
        alias = "password",
        hide = true,
        num_args = 0..=1,
        default_missing_value = "",
        allow_hyphen_values = true
    )]
    certificate_password: Option<String>,
    #[arg(long, alias = "client-assertion", hide = true, num_args = 0..=1, default_missing_value = "", allow_hyphen_values = true)]
    assertion: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", allow_hyphen_values = true)]
    system_access_token: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", allow_hyphen_values = true)]
    user_assertion: Option<String>,
    #[arg(
        long,
        alias = "authorization-code",
        hide = true,
        num_args = 0..=1,
        default_missing_value = "",
        allow_hyphen_values = true
    )]
    code: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", allow_hyphen_values = true)]
    code_verifier: Option<String>,
}

impl RefusedArgs {
    /// The first that was given: its flag, and what to do instead.
    pub(crate) fn first(&self) -> Option<(&'static str, &'static str)> {
        [
            (&self.client_secret, "--client-secret", "set AZURE_CLIENT_SECRET, or give --client-secret-file"),
            (
                &self.certificate_password,
                "--certificate-password",
                "set AZURE_CLIENT_CERTIFICATE_PASSWORD or AZURE_PASSWORD, or give --certificate-password-file or --password-file",
            ),
            (&self.assertion, "--assertion", "give --assertion-file"),
            (
                &self.system_access_token,
                "--system-access-token",
                "set SYSTEM_ACCESSTOKEN, or give --system-access-token-file",
            ),
            (&self.user_assertion, "--user-assertion", "give --user-assertion-file"),
            (&self.code, "--code", "give --code-file"),
            (&self.code_verifier, "--code-verifier", "give --code-verifier-file"),
        ]
        .into_iter()
        .find(|(value, ..)| value.is_some())
        .map(|(_, flag, advice)| (flag, advice))
    }
}

/// Prints no secret.
impl fmt::Debug for RefusedArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RefusedArgs").field(&self.first()).finish()
    }
}
