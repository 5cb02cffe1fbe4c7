//! The errors that Entra's token service is known to answer with.

/// What comes with a code.
pub(crate) struct Row {
    pub(crate) code: u32,
    pub(crate) status: u16,
    pub(crate) error: &'static str,
    pub(crate) suberror: Option<&'static str>,
    /// Words that fit any request.
    pub(crate) text: &'static str,
}

/// What comes with that code, if it is known.
pub(crate) fn find(code: u32) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.code == code)
}

const fn row(code: u32, status: u16, error: &'static str, text: &'static str) -> Row {
    Row { code, status, error, suberror: None, text }
}

const fn sub(code: u32, error: &'static str, suberror: &'static str, text: &'static str) -> Row {
    Row { code, status: 400, error, suberror: Some(suberror), text }
}

const CLIENT: &str = "invalid_client";
const GRANT: &str = "invalid_grant";
const REQUEST: &str = "invalid_request";
const SCOPE: &str = "invalid_scope";
pub(crate) const BUSY: &str = "temporarily_unavailable";

/// Source: "Microsoft Entra authentication and authorization error codes", learn.microsoft.com, and answers of the service in
/// public bug reports and in the recordings of the official SDKs' tests.
static ROWS: &[Row] = &[
    row(28000, 400, SCOPE, "The scope names more than one resource."),
    row(28003, 400, REQUEST, "The scope is empty, and the grant is for more than one resource."),
    row(50000, 500, "server_error", "There was an error issuing a token."),
    row(50008, 400, GRANT, "The SAML assertion is missing, or misconfigured in the token."),
    row(
        50011,
        400,
        REQUEST,
        "The redirect URI specified in the request does not match the redirect URIs of the application.",
    ),
    row(50012, 401, CLIENT, "The client assertion cannot be accepted."),
    row(50013, 400, GRANT, "Assertion failed signature validation."),
    row(50020, 400, GRANT, "The user account does not exist in the tenant, and cannot access the application there."),
    row(50027, 400, REQUEST, "JWT token is invalid or malformed."),
    sub(50034, GRANT, "bad_token", "The user account does not exist in the directory."),
    row(50049, 400, "invalid_instance", "Unknown or invalid instance."),
    sub(50055, GRANT, "user_password_expired", "The password is expired."),
    row(50057, 400, GRANT, "The user account is disabled."),
    row(50058, 400, "login_required", "A silent sign-in request was sent but no user is signed in."),
    sub(
        50076,
        "interaction_required",
        "basic_action",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor \
         authentication to access the resource.",
    ),
    sub(50079, "interaction_required", "basic_action", "The user has to enroll in multi-factor authentication."),
    row(50105, 400, GRANT, "The signed in user is not assigned to a role for the application."),
    row(50126, 400, GRANT, "The user name or the password is wrong."),
    sub(50173, GRANT, "bad_token", "The grant was revoked; a fresh one is needed."),
    row(50194, 400, REQUEST, "The application is not configured as a multi-tenant application."),
    row(50196, 400, GRANT, "The server terminated an operation because it encountered a client request loop."),
    sub(
        53003,
        GRANT,
        "message_only",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    ),
    row(54005, 400, GRANT, "The authorization code was redeemed already."),
    sub(
        65001,
        GRANT,
        "consent_required",
        "The user or administrator has not consented to use the application. Send an interactive authorization request for this user and \
         resource.",
    ),
    row(65004, 400, "access_denied", "User declined to consent to access the app."),
    row(70000, 400, GRANT, "The grant is invalid or malformed."),
    row(70003, 400, "unsupported_grant_type", "The grant type is not supported."),
    row(70007, 400, REQUEST, "The value of 'response_mode' is not supported when requesting a token."),
    row(70008, 400, GRANT, "The authorization code or refresh token has expired, or was revoked."),
    row(70011, 400, SCOPE, "The provided value for the input parameter 'scope' is not valid."),
    row(70016, 400, "authorization_pending", "The user has not signed in yet; ask again."),
    row(70018, 400, "authorization_declined", "The user has declined to sign in."),
    row(70020, 400, "expired_token", "The device code has expired."),
    row(70021, 400, REQUEST, "No matching federated identity record found for presented assertion."),
    row(70043, 400, GRANT, "The refresh token has expired, or a policy on the sign-in frequency rules it out."),
    row(90000, 500, "server_error", "An unexpected error has occurred."),
    row(
        90002,
        400,
        REQUEST,
        "Tenant not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.",
    ),
    row(
        90009,
        400,
        REQUEST,
        "Application is requesting a token for itself. This scenario is supported only if resource is specified using the GUID based App \
         Identifier.",
    ),
    row(90014, 400, REQUEST, "A required field is missing from the credential."),
    row(90023, 400, REQUEST, "The value of 'prompt' is not supported."),
    row(90033, 503, BUSY, "A transient error has occurred. Please try again."),
    row(90055, 429, BUSY, "The server has terminated the request because there are too many of them."),
    row(90100, 400, REQUEST, "A parameter is empty or not valid."),
    row(500_011, 400, "invalid_resource", "The resource principal was not found in the tenant."),
    row(500_112, 401, CLIENT, "The reply address does not match the one provided when requesting Authorization code."),
    row(500_113, 400, REQUEST, "No reply address is registered for the application."),
    row(500_131, 400, GRANT, "Assertion audience does not match the Client app presenting the assertion."),
    row(500_133, 400, GRANT, "The assertion is not within its valid time range."),
    row(501_051, 400, GRANT, "The application is not assigned to a role for the application that it asks for."),
    row(
        501_481,
        400,
        GRANT,
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ),
    row(501_491, 400, REQUEST, "The size of the parameter 'code_challenge' is not valid."),
    row(650_053, 400, CLIENT, "The application asked for a scope that doesn't exist on the resource."),
    row(700_005, 400, GRANT, "The provided Authorization Code is intended to use against other tenant, thus rejected."),
    row(700_016, 400, "unauthorized_client", "Application was not found in the directory."),
    row(700_021, 401, CLIENT, "Client assertion application identifier doesn't match 'client_id' parameter."),
    row(700_023, 401, CLIENT, "Client assertion audience claim does not match Realm issuer."),
    row(700_024, 401, CLIENT, "Client assertion is not within its valid time range."),
    row(700_025, 401, CLIENT, "A public client must present neither 'client_assertion' nor 'client_secret'."),
    row(700_027, 401, CLIENT, "Client assertion failed signature validation."),
    row(700_030, 401, CLIENT, "The subject name in the certificate is not authorized."),
    row(700_051, 400, "unsupported_response_type", "The response_type 'token' is not enabled for the application."),
    row(700_054, 400, "unsupported_response_type", "The response_type is not enabled for the application."),
    row(700_082, 400, GRANT, "The refresh token has expired due to inactivity."),
    row(700_084, 400, GRANT, "The refresh token was issued to a single page app, and has reached its fixed lifetime."),
    row(700_211, 401, CLIENT, "No matching federated identity record found for presented assertion issuer."),
    row(700_212, 401, CLIENT, "No matching federated identity record found for presented assertion audience."),
    row(700_213, 401, CLIENT, "No matching federated identity record found for presented assertion subject."),
    row(900_023, 400, REQUEST, "The tenant identifier is neither a valid DNS name, nor a valid external domain."),
    row(900_144, 400, REQUEST, "The request body lacks a parameter."),
    row(900_561, 400, REQUEST, "The endpoint only accepts POST requests."),
    row(900_971, 400, REQUEST, "No reply address provided."),
    row(901_002, 400, REQUEST, "The 'resource' request parameter is not supported."),
    row(
        1_002_012,
        400,
        SCOPE,
        "Client credential flows must have a scope value with /.default suffixed to the resource.",
    ),
    row(5_002_723, 401, CLIENT, "Invalid JWT token. The header names no certificate."),
    row(5_002_727, 400, REQUEST, "Invalid JWT header type specified."),
    row(5_002_738, 401, CLIENT, "Invalid JWT token. The signature algorithm is not supported."),
    row(7_000_112, 400, "unauthorized_client", "Application is disabled."),
    row(7_000_114, 400, "unauthorized_client", "Application is not allowed to make application on-behalf-of calls."),
    row(
        7_000_215,
        401,
        CLIENT,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
    ),
    row(
        7_000_216,
        401,
        CLIENT,
        "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
    ),
    row(
        7_000_218,
        401,
        CLIENT,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    row(7_000_222, 401, CLIENT, "The provided client secret keys are expired."),
    row(7_000_229, 401, CLIENT, "The client application is missing service principal in the tenant."),
    row(9_000_411, 400, REQUEST, "The request is not properly formatted. A parameter is duplicated."),
    row(9_001_023, 400, REQUEST, "The grant type is not supported over the /common or /consumers endpoints."),
    row(9_002_313, 400, GRANT, "Invalid request. Request is malformed or invalid."),
    row(
        9_002_325,
        400,
        REQUEST,
        "Proof Key for Code Exchange is required for cross-origin authorization code redemption.",
    ),
    row(
        9_002_326,
        400,
        REQUEST,
        "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type.",
    ),
    row(9_002_332, 400, REQUEST, "The application is for users of Microsoft Entra ID only."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_there_once_in_order() {
        assert!(ROWS.windows(2).all(|two| two[0].code < two[1].code));
        assert!(ROWS.iter().all(|row| (400..=599).contains(&row.status) && !row.text.is_empty()));
    }

    #[test]
    fn codes_come_with_the_status_and_the_error_of_recorded_answers() {
        for (code, status, error) in [
            (50_027, 400, "invalid_request"),
            (90_014, 400, "invalid_request"),
            (90_055, 429, "temporarily_unavailable"),
            (700_023, 401, "invalid_client"),
            (700_084, 400, "invalid_grant"),
            (5_002_723, 401, "invalid_client"),
            (5_002_727, 400, "invalid_request"),
            (50_034, 400, "invalid_grant"),
            (500_131, 400, "invalid_grant"),
            (501_481, 400, "invalid_grant"),
            (7_000_114, 400, "unauthorized_client"),
            (9_002_313, 400, "invalid_grant"),
            (7_000_216, 401, "invalid_client"),
            (7_000_229, 401, "invalid_client"),
        ] {
            let row = find(code).unwrap();
            assert_eq!((row.status, row.error), (status, error), "{code}");
        }
        assert!(find(1).is_none() && find(50_089).is_none());
    }
}
