//! What to do about the refusals that are common.

/// What is wrong and what to do about it, by the first of the codes that is known.
///
/// Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
#[rustfmt::skip]
pub(crate) fn advice(codes: &[u32]) -> Option<&'static str> {
    codes.iter().find_map(|code| Some(match code {
        7000215 => "the client secret is wrong; give its value, not its id, and check that it is one of this application",
        7000222 => "the client secret has expired; add a new one in the application's registration and use it here",
        7000216 | 7000218 => "the application wants a secret or an assertion; use a credential that has one",
        700016 | 7000229 => "the application is not known in this tenant; check client id and tenant, and that it was consented to there",
        7000112 => "the application is disabled in this tenant; enable its service principal",
        700025 | 7000217 => "the application is registered as a public client and takes no secret; see its authentication settings",
        90002 | 900021 | 900023 | 50059 => "the tenant does not exist; check the tenant id, and the authority if it is in another cloud",
        50194 => "the application is registered for one tenant; use that tenant's id, not common or organizations",
        500011 | 500014 | 650057 => "the resource of the scope is not known or not enabled in this tenant; check the scope's spelling and that the service is set up there",
        1002012 | 70011 => "the scope is not one that an application can ask for; expected one resource and /.default, such as https://vault.azure.net/.default",
        65001 | 650052 | 650051 => "consent is missing; an administrator of the tenant grants it in the application's API permissions",
        501051 => "the application has no role at this resource; assign it one, for the resource wants that",
        700024 => "the assertion is outside of the time that it is valid for; check this machine's clock and where the assertion comes from",
        700027 | 7000214 => "the certificate or key is not one of the application's; upload the certificate to its registration, or use the one that is there",
        700030 | 50012 | 5000811 | 50027 | 500133 => "the assertion is malformed, or its signature does not fit; check which key signs it and that nothing changes it on its way",
        50013 => "the assertion does not fit: issuer, audience, signature or time are not what the service expects",
        700021 | 7000219 => "the assertion was signed for something else; check its issuer, subject and audience",
        70021 | 700211 | 700212 | 700213 | 700223 | 700238 => "no federated credential of the application has the assertion's issuer, subject and audience; compare them letter by letter, and with AKS identity bindings turn the proxy on",
        53000..=53011 | 530031..=530039 | 50158 | 52001 => "a policy of the tenant forbids it; its administrator sees which in the sign-in log, by the correlation id",
        50196 => "the same request came too often: this program asks in a loop; keep credentials and reuse them",
        90033 | 90020 | 90012 | 50089 => "the service has trouble of its own; try again later",
        90014 | 900144 | 9002313 => "the service did not understand the request; please report it",
        50076 | 50079 | 50074 | 50072 => "more proof is needed from the person who signs in",
        50173 | 700082 | 70008 | 70043 | 70044 => "what was remembered of the sign-in has expired or was revoked; sign in again",
        50126 => "user name or password is wrong",
        50034 => "the user does not exist in this tenant",
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_refusals_say_what_to_do() {
        for (codes, expected) in [
            (&[7_000_215][..], "secret is wrong"),
            (&[7_000_222], "expired"),
            (&[700_016], "not known in this tenant"),
            (&[90_002], "tenant does not exist"),
            (&[65_001], "consent"),
            (&[700_024], "clock"),
            (&[53_003], "policy"),
            (&[1, 50_196], "loop"),
        ] {
            assert!(advice(codes).unwrap().contains(expected), "{codes:?}");
        }
        assert_eq!(advice(&[]), None);
        assert_eq!(advice(&[1]), None);
    }
}
