//! The directory as the text of a file.

use std::fmt::Write as _;
use std::time::SystemTime;

use crate::directory::{Directory, Issuer, Subscription, Tenant};
use crate::text::{Calendar, epoch_seconds};

impl Directory {
    /// The text of a file that says the same.
    pub(crate) fn to_toml(&self) -> String {
        let mut out = HEAD.to_owned();
        let list = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
        // Writing to a string cannot fail.
        if !self.resources.is_empty() {
            let _ = writeln!(out, "\nresources = [{}]", list(&self.resources));
        }
        for Tenant { id, domains } in &self.tenants {
            let _ = writeln!(out, "\n[[tenants]]\nid = {}\ndomains = [{}]", quoted(id), list(domains));
        }
        for app in &self.apps {
            let _ = writeln!(out, "\n[[apps]]\nclient_id = {}\nname = {}", quoted(&app.client_id), quoted(&app.name));
            let _ = writeln!(out, "object_id = {}", quoted(&app.object_id));
            for (name, texts) in [
                ("tenants", &app.tenants),
                ("resources", &app.resources),
                ("redirect_uris", &app.redirect_uris),
                ("scopes", &app.scopes),
            ] {
                if !texts.is_empty() {
                    let _ = writeln!(out, "{name} = [{}]", list(texts));
                }
            }
            for (name, set) in [
                ("disabled = true", app.disabled),
                ("public_client = true", app.public),
                ("consented = false", !app.consented),
                ("blocked_by_policy = true", app.blocked),
            ] {
                if set {
                    let _ = writeln!(out, "{name}");
                }
            }
            if app.token_version != 1 {
                let _ = writeln!(out, "access_token_version = {}", app.token_version);
            }
            for (resource, role) in &app.roles {
                let (resource, role) = (quoted(resource), quoted(role));
                let _ = writeln!(out, "[[apps.roles]]\nresource = {resource}\nvalues = [{role}]");
            }
            for (resource, scope) in &app.consents {
                let (resource, scope) = (quoted(resource), quoted(scope));
                let _ = writeln!(out, "[[apps.consents]]\nresource = {resource}\nscopes = [{scope}]");
            }
            for secret in &app.secrets {
                let _ = writeln!(out, "[[apps.secrets]]\nvalue = {}", quoted(&secret.value));
                if let Some(expires) = secret.expires {
                    let _ = writeln!(out, "expires = {}", date(expires));
                }
            }
            for pem in &app.certificates {
                let _ = writeln!(out, "[[apps.certificates]]\npem = {}", lines(pem));
            }
            for (name, ca) in &app.subject_names {
                let _ = writeln!(out, "[[apps.subject_names]]\nname = {}\nca_pem = {}", quoted(name), lines(ca));
            }
            for record in &app.federations {
                let _ = writeln!(
                    out,
                    "[[apps.federated]]\nissuer = {}\nsubject = {}\naudience = {}",
                    quoted(&record.issuer),
                    quoted(&record.subject),
                    quoted(&record.audience)
                );
            }
        }
        for Issuer { issuer, jwks, .. } in &self.issuers {
            let _ = writeln!(out, "\n[[issuers]]\nissuer = {}\njwks = {}", quoted(issuer), lines(jwks));
        }
        for user in &self.users {
            let _ = writeln!(out, "\n[[users]]\nname = {}\npassword = {}", quoted(&user.name), quoted(&user.password));
            let _ = writeln!(out, "object_id = {}", quoted(&user.object_id));
            let _ = writeln!(out, "display_name = {}", quoted(&user.display_name));
            if let Some(tenant) = &user.tenant {
                let _ = writeln!(out, "tenant = {}", quoted(tenant));
            }
            for (name, set) in [
                ("mfa", user.mfa),
                ("federated", user.federated),
                ("disabled", user.disabled),
                ("must_change_password", user.must_change_password),
            ] {
                if set {
                    let _ = writeln!(out, "{name} = true");
                }
            }
        }
        for Subscription { id, name, tenant } in &self.subscriptions {
            let _ = writeln!(out, "\n[[subscriptions]]\nid = {}\nname = {}", quoted(id), quoted(name));
            if let Some(tenant) = tenant {
                let _ = writeln!(out, "tenant = {}", quoted(tenant));
            }
        }
        out
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// A string of TOML over several lines, if there is nothing in it that has to be escaped.
fn lines(text: &str) -> String {
    if text.contains('\'') || text.chars().any(|letter| letter.is_control() && letter != '\n') {
        return quoted(text);
    }
    format!("'''\n{text}'''")
}

/// A date with a time and an offset.
fn date(time: SystemTime) -> String {
    let whole = Calendar::from_epoch(epoch_seconds(time)).entra_timestamp();
    let nanos = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    match whole.strip_suffix('Z') {
        Some(bare) if nanos != 0 => format!("{bare}.{nanos:09}Z"),
        _ => whole,
    }
}

const HEAD: &str = "\
# What the emulated Entra knows. It is read again when it changes; the first tenant is home.
#
# Apps also take: tenants (ids or domain names; without them, the home tenant), resources (only these), disabled,
# public_client, consented = false (no roles, and nothing for users), blocked_by_policy, access_token_version = 2 (of
# tokens for the app), redirect_uris, scopes (what users can allow others to do with the app);
# secrets with `expires`; certificates with `pem` or `path`; subject_names with `name` and `ca_pem` or `ca_path`;
# federated with `issuer`, `subject` and `audience`; roles with `resource` and `values`; consents with `resource` and
# `scopes` (with any, users of the app get nothing else).
# [[issuers]] take `issuer` and `jwks` or `jwks_path`. `resources` at the top are known to every app.
# [[users]] take name, password, object_id, display_name, tenant, mfa, federated, disabled, must_change_password.
# [[subscriptions]], which Azure Resource Manager lists, take id, name, tenant.
";

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::directory::{App, Subscription, User, file};
    use crate::token::TEST_CERTIFICATE_PEM;

    fn read(text: &str) -> Directory {
        let (directory, _) = file::parse(text, Path::new("")).unwrap_or_else(|error| panic!("{error} in\n{text}"));
        directory
    }

    #[test]
    fn every_part_of_a_directory_survives_being_written_and_read() {
        let mut directory = Directory::built_in(crate::TENANT_ID);
        assert_eq!(read(&directory.to_toml()), directory);
        let awkward = "Bag's ''' attributes: \"x\" \\ \t\r\n";
        let now = SystemTime::UNIX_EPOCH + Duration::new(1_795_412_345, 678_901_234);
        let full = App::new("7e57ab1e-0000-4000-8000-00000000aa01")
            .name(awkward)
            .object_id("7e57ab1e-0000-4000-8000-00000000aa02")
            .tenant(crate::OTHER_TENANT_DOMAIN)
            .secret(awkward)
            .secret_until("past", SystemTime::UNIX_EPOCH - Duration::from_secs(86_400))
            .secret_until("future", now)
            .certificate_pem(format!("{awkward}{TEST_CERTIFICATE_PEM}"))
            .certificate_pem(TEST_CERTIFICATE_PEM.replace('\n', "\r\n"))
            .subject_name(awkward, format!("it's {TEST_CERTIFICATE_PEM}"))
            .federated("https://i.example", awkward, awkward)
            .only_resource("api://mine")
            .role("https://graph.microsoft.com", "User.Read.All")
            .role("https://graph.microsoft.com", "Mail.Read")
            .redirect_uri("https://a.example/b?c=d")
            .scope("Files.Read")
            .consent("https://graph.microsoft.com", "User.Read")
            .access_token_version(2)
            .without_consent()
            .blocked_by_policy()
            .disabled();
        directory.put(full);
        directory.put(App::new("7e57ab1e-0000-4000-8000-00000000aa03").public_client());
        directory.users.push(User::new("zoe@contoso.example", awkward).tenant(crate::OTHER_TENANT_ID));
        let full = User::new("yan@contoso.example", "x").display_name(awkward);
        directory.users.push(full.mfa().federated().disabled().must_change_password());
        directory.subscriptions.push(Subscription::new(awkward).tenant(crate::OTHER_TENANT_ID));
        directory.resources = vec!["api://mine".to_owned(), awkward.to_owned()];
        for (name, note) in [("https://i.example", "it's"), ("https://j.example", "plain")] {
            let jwks = format!(r#"{{"keys":[{{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}}],"note":"{note}"}}"#);
            directory.issuers.push(Issuer::parse(name, &jwks).unwrap());
        }
        assert_eq!(read(&directory.to_toml()), directory);
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000A\"");
    }
}
