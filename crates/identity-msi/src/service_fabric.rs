//! Service Fabric: whose certificate is trusted, and which token is no good any more.

use identity_core::{Env, Result, http::ServerTrust};

/// How the endpoint proves who it is; `None` if this build lacks the feature.
///
/// # Errors
///
/// `InvalidArgument` if the URL is not `https` or the thumbprint is none, naming the variable.
#[cfg(feature = "service-fabric")]
pub(crate) fn trust(env: &dyn Env, url: &str) -> Result<Option<ServerTrust>> {
    use crate::{
        endpoint::{after_scheme, invalid},
        env::{IDENTITY_ENDPOINT, IDENTITY_SERVER_THUMBPRINT},
    };

    if after_scheme(url, "https://").is_none() {
        return Err(invalid(format!("{IDENTITY_ENDPOINT} is not an https URL, which Service Fabric always has")));
    }
    let text = env.text(IDENTITY_SERVER_THUMBPRINT)?.unwrap_or_default();
    thumbprint(&text).map(|pin| Some(ServerTrust::PinnedSha1(pin))).ok_or_else(|| {
        invalid(format!("{IDENTITY_SERVER_THUMBPRINT} is not a SHA-1 thumbprint; expected 40 hexadecimal digits"))
    })
}

#[cfg(not(feature = "service-fabric"))]
#[expect(clippy::unnecessary_wraps, reason = "the signature of the build that has the feature")]
pub(crate) fn trust(_: &dyn Env, _: &str) -> Result<Option<ServerTrust>> {
    Ok(None)
}

/// The hexadecimal SHA-256 of a token, by which the endpoint is told that it must not hand it out again.
#[cfg(feature = "service-fabric")]
pub(crate) fn hash(token: &str) -> Option<String> {
    Some(identity_core::text::hex(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref()))
}

#[cfg(not(feature = "service-fabric"))]
pub(crate) fn hash(_: &str) -> Option<String> {
    None
}

/// Reads a SHA-1 in hexadecimal digits, in the ways in which tools print it: with colons or spaces.
///
/// Source: msal 1.39.0, `managed_identity.py`, for what is skipped.
#[cfg(feature = "service-fabric")]
fn thumbprint(text: &str) -> Option<[u8; 20]> {
    let mut digits = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n' | ':')).map(|c| c.to_digit(16));
    let mut pin = [0; 20];
    for byte in &mut pin {
        *byte = u8::try_from(digits.next()?? << 4 | digits.next()??).ok()?;
    }
    digits.next().is_none().then_some(pin)
}

#[cfg(all(test, feature = "service-fabric"))]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_are_read_as_tools_print_them() {
        let plain = "000102030405060708090a0b0c0d0e0f10aBcDEF";
        let colons = "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:AB:CD:EF\r\n";
        let spaces = " 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 ab cd\tef";
        let expected = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0xab, 0xcd, 0xef];
        for text in [plain, colons, spaces] {
            assert_eq!(thumbprint(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_but_40_digits_is_no_thumbprint() {
        let sha256 = "0".repeat(64);
        for bad in
            ["", ":", &"0".repeat(39), &"0".repeat(41), &"g".repeat(40), &"０".repeat(40), &"-".repeat(40), &sha256]
        {
            assert_eq!(thumbprint(bad), None, "{bad}");
        }
    }

    // FIPS 180-2, appendix B.1: the SHA-256 of "abc".
    #[test]
    fn hash_of_a_token_is_its_sha256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash("abc").as_deref(), Some(expected));
    }
}
