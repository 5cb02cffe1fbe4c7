//! What to do about the refusals that are common.

/// What is wrong and what to do about it, by the first of the codes that is known.
///
/// Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
#[must_use]
#[rustfmt::skip]
pub fn advice(codes: &[u32]) -> Option<&'static str> {
    codes.iter().find_map(|code| Some(match code {
        7000215 => "the client secret is wrong; give its value, not its id, and check that it is one of this application",
        7000222 => "the client secret has expired; add a new one in the application's registration and use it here",
        7000216 | 7000218 | 7000219 => "the application wants a secret or an assertion; use a credential that has one",
        700016 | 7000229 => "the application is not known in this tenant; check client id and tenant, and that it was consented to there",
        7000112 => "the application is disabled in this tenant; enable its service principal",
        700025 | 7000217 => "the application is registered as a public client and takes no secret; see its authentication settings",
        90002 | 900021 | 900023 => "the tenant does not exist; check the tenant id, and the authority if it is in another cloud",
        50194 => "the application is registered for one tenant; use that tenant's id, not common or organizations",
        50059 => "the request names no tenant; use a tenant's id, not common or organizations",
        500011 | 500014 | 650057 => "the resource of the scope is not known or not enabled in this tenant; check the scope's spelling and that the service is set up there",
        1002012 | 70011 => "the scope is not one that an application can ask for; expected one resource and /.default, such as https://vault.azure.net/.default",
        65001 | 650052 | 650051 => "consent is missing; an administrator of the tenant grants it in the application's API permissions",
        501051 => "the application has no role at this resource; assign it one, for the resource wants that",
        700024 | 500133 => "the assertion is outside of the time that it is valid for; check this machine's clock and where the assertion comes from",
        7000214 => "the certificate was revoked; make a new one and register it",
        700030 => "the subject or issuer of the certificate is not one that the application's registration trusts; compare them, and send the chain",
        700027 => "the certificate or key is not one of the application's; upload the certificate to its registration, or use the one that is there",
        50012 | 5000811 | 50027 | 5002723 | 5002727 | 5002738 => "the assertion is malformed, or its signature does not fit; check which key signs it and that nothing changes it on its way",
        50013 => "the assertion does not fit: issuer, audience, signature or time are not what the service expects",
        500131 => "the user's token is for another application; a service exchanges those that are for itself",
        700021 | 700023 => "the assertion was signed for something else; check its issuer, subject and audience",
        70021 | 70025 | 700211 | 700212 | 700213 => "no federated credential of the application has the assertion's issuer, subject and audience; compare them letter by letter, and with AKS identity bindings turn the proxy on",
        700222 | 700229 | 700236 => "this token of Entra ID cannot be exchanged; it has to be an application's or a managed identity's own, of this cloud and of a tenant that this one accepts",
        100007 => "regional endpoints are not for this application; remove the region, also from AZURE_REGIONAL_AUTHORITY_NAME",
        53000..=53011 | 530031..=530039 | 52001 | 700223 | 700238 => "a policy of the tenant forbids it; its administrator sees which in the sign-in log, by the correlation id",
        54005 => "the authorization code was redeemed before; each is good for one use: get a new one",
        50011 | 500112 | 500113 => "the redirect URI is none of the application's, or another than the code was asked for with",
        501481 | 50148 => "the code verifier does not fit the challenge that the code was asked for with",
        9002325 => "the code was asked for with a challenge (PKCE); give its code verifier",
        50196 => "the same request came too often: this program asks in a loop; keep credentials and reuse them",
        90033 | 90012 => "the service has trouble of its own; try again later",
        90055 => "the service is asked too often; try again later",
        90014 | 900144 | 9002313 => "the service did not understand the request; please report it",
        50076 | 50078 | 50079 | 50074 | 50072 | 50158 => "more proof is needed from the person who signs in",
        50173 | 50132 | 50133 | 50089 | 700082 | 70008 | 70043 | 70044 => "what was remembered of the sign-in has expired or was revoked; sign in again",
        50126 => "user name or password is wrong",
        50053 => "the account is locked after too many sign-ins with a wrong password, or the address they come from is blocked; try again later",
        50055 => "the person's password has expired; they set a new one when they sign in interactively",
        50056 => "the account has no password in this tenant; check the user name, or let the person sign in another way",
        50057 => "the account is disabled; an administrator of the tenant can enable it",
        50034 => "the user does not exist in this tenant",
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes, and a part of their advice that no other advice has.
    const ROWS: [(&[u32], &str); 41] = [
        (&[7_000_215], "the client secret is wrong"),
        (&[7_000_222], "the client secret has expired"),
        (&[7_000_216, 7_000_218, 7_000_219], "use a credential that has one"),
        (&[700_016, 7_000_229], "the application is not known"),
        (&[7_000_112], "enable its service principal"),
        (&[700_025, 7_000_217], "takes no secret"),
        (&[90_002, 900_021, 900_023], "the tenant does not exist"),
        (&[50_194], "registered for one tenant"),
        (&[50_059], "the request names no tenant"),
        (&[500_011, 500_014, 650_057], "the resource of the scope"),
        (&[1_002_012, 70_011], "one resource and /.default"),
        (&[65_001, 650_052, 650_051], "consent is missing"),
        (&[501_051], "has no role at this resource"),
        (&[700_024, 500_133], "check this machine's clock"),
        (&[7_000_214], "was revoked; make a new one"),
        (&[700_030], "and send the chain"),
        (&[700_027], "upload the certificate"),
        (&[50_012, 5_000_811, 50_027, 5_002_723, 5_002_727, 5_002_738], "nothing changes it on its way"),
        (&[50_013], "issuer, audience, signature or time"),
        (&[500_131], "is for another application"),
        (&[700_021, 700_023], "was signed for something else"),
        (&[70_021, 70_025, 700_211, 700_212, 700_213], "no federated credential"),
        (
            &[
                53_000, 53_001, 53_002, 53_003, 53_004, 53_005, 53_006, 53_007, 53_008, 53_009, 53_010, 53_011,
                530_031, 530_032, 530_033, 530_034, 530_035, 530_036, 530_037, 530_038, 530_039, 52_001, 700_223,
                700_238,
            ],
            "a policy of the tenant forbids it",
        ),
        (&[700_222, 700_229, 700_236], "cannot be exchanged"),
        (&[100_007], "regional endpoints are not for"),
        (&[54_005], "was redeemed before"),
        (&[50_011, 500_112, 500_113], "the redirect URI is none"),
        (&[501_481, 50_148], "the code verifier does not fit"),
        (&[9_002_325], "give its code verifier"),
        (&[50_196], "asks in a loop"),
        (&[90_033, 90_012], "trouble of its own"),
        (&[90_055], "is asked too often"),
        (&[90_014, 900_144, 9_002_313], "please report it"),
        (&[50_076, 50_078, 50_079, 50_074, 50_072, 50_158], "more proof is needed"),
        (&[50_173, 50_132, 50_133, 50_089, 700_082, 70_008, 70_043, 70_044], "sign in again"),
        (&[50_126], "user name or password"),
        (&[50_053], "the account is locked"),
        (&[50_055], "password has expired"),
        (&[50_056], "has no password"),
        (&[50_057], "the account is disabled"),
        (&[50_034], "the user does not exist"),
    ];

    #[test]
    fn each_code_has_the_advice_of_its_row_and_of_no_other() {
        for (codes, expected) in ROWS {
            for code in codes {
                let said = advice(&[*code]).unwrap_or_default();
                let fitting: Vec<_> =
                    ROWS.iter().map(|(_, words)| *words).filter(|words| said.contains(words)).collect();
                assert_eq!(fitting, [expected], "{code}: {said}");
            }
        }
    }

    #[test]
    fn no_code_is_in_two_rows_and_none_is_left_out_here() {
        let (_, rows) = include_str!("advice.rs").split_once("match code {").unwrap();
        let (rows, _) = rows.split_once("_ => return None").unwrap();
        let number = |text: &str| text.trim().parse::<u32>().unwrap();
        let range = |text: &str| {
            let (first, last) = text.split_once("..=").unwrap_or((text, text));
            number(first)..=number(last)
        };
        let patterns = rows.lines().filter_map(|row| Some(row.split_once("=>")?.0));
        let mut codes: Vec<u32> = patterns.flat_map(|row| row.split('|')).flat_map(range).collect();
        codes.sort_unstable();
        let all = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), all);
        let mut expected: Vec<u32> = ROWS.iter().flat_map(|(codes, _)| codes.iter().copied()).collect();
        expected.sort_unstable();
        assert_eq!(codes, expected);
    }

    #[test]
    fn what_is_not_known_has_no_advice_and_the_first_code_that_is_known_counts() {
        for code in [0, 1, 52_999, 53_012, 530_030, 530_040, 5_300, 530_000, 70_002, u32::MAX] {
            assert_eq!(advice(&[code]), None, "{code}");
        }
        assert_eq!(advice(&[]), None);
        for codes in [&[50_196, 65_001][..], &[1, 50_196, 65_001], &[1, 2, 50_196]] {
            assert_eq!(advice(codes), advice(&[50_196]), "{codes:?}");
        }
    }
}
