#!/usr/bin/env python3
"""Gets tokens from the emulator with the official azure-identity, sync and aio, unchanged.

    tokens.py SOURCE KEYS_URL

SOURCE is a name of identity_emulator::Source. The environment holds the variables that the emulator gives for it;
KEYS_URL is its key set. The emulator must have its default identities and tenant.

One line per case: "ok", "FAILED" or "n/a" (the SDK or the service has no such thing: the reason follows), then
source/client/case. The exit code is 0 if every case went as expected, 1 if one failed, 2 for a wrong call.
"""

import asyncio
import json
import logging
import os
import sys
import time
import urllib.request

VARIABLES = {
    "imds": {"AZURE_POD_IDENTITY_AUTHORITY_HOST"},
    "app-service": {"IDENTITY_ENDPOINT", "IDENTITY_HEADER"},
    "azure-arc": {"IDENTITY_ENDPOINT", "IMDS_ENDPOINT"},
    "service-fabric": {"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"},
    "azure-ml": {"MSI_ENDPOINT", "MSI_SECRET"},
    "cloud-shell": {"MSI_ENDPOINT"},
}
TRUST_AND_PROXIES = (
    "REQUESTS_CA_BUNDLE CURL_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR "
    "http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY"
).split()

TENANT = "7e57ab1e-0000-4000-8000-000000000001"
RESOURCE = "https://storage.azure.com"
SYSTEM = "7e57ab1e-0000-4000-8000-0000000000c0"
UNKNOWN = "7e57ab1e-0000-4000-8000-00000000dead"
USERS = {
    colour: {
        "client_id": f"7e57ab1e-0000-4000-8000-0000000000c{number}",
        "object_id": f"7e57ab1e-0000-4000-8000-0000000000d{number}",
        "resource_id": "/subscriptions/7e57ab1e-0000-4000-8000-000000000002/resourceGroups/emulator/providers/"
        f"Microsoft.ManagedIdentity/userAssignedIdentities/{colour}",
    }
    for colour, number in (("blue", 1), ("green", 2))
}

# What this version of the SDK cannot do, and why: (source, client, selector) with "*" for any.
UNSUPPORTED = {
    ("azure-ml", "*", "object_id"): "the SDK sends a parameter that the service ignores",
    ("azure-ml", "*", "resource_id"): "the SDK sends a parameter that the service ignores",
    ("cloud-shell", "*", "client_id"): "the SDK refuses user-assigned identities here",
    ("cloud-shell", "*", "object_id"): "the SDK refuses user-assigned identities here",
    ("cloud-shell", "*", "resource_id"): "the SDK refuses user-assigned identities here",
    ("cloud-shell", "*", "unknown"): "the SDK refuses user-assigned identities here",
    ("service-fabric", "*", "client_id"): "the SDK refuses user-assigned identities here",
    ("service-fabric", "*", "object_id"): "the SDK refuses user-assigned identities here",
    ("service-fabric", "*", "resource_id"): "the SDK refuses user-assigned identities here",
    ("service-fabric", "*", "unknown"): "the SDK refuses user-assigned identities here",
}
# The aio client sends the keys of identity_config as they are, so it needs the service's own names.
AIO_RESOURCE_ID = {"imds": "msi_res_id", "app-service": "mi_res_id", "azure-arc": "msi_res_id"}


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in VARIABLES:
        print(f"usage: tokens.py {'|'.join(VARIABLES)} KEYS_URL", file=sys.stderr)
        return 2
    source, keys_url = sys.argv[1:]
    for name in TRUST_AND_PROXIES:
        os.environ.pop(name, None)
    for name in set().union(*VARIABLES.values()) - VARIABLES[source]:
        os.environ.pop(name, None)
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        if name not in VARIABLES[source]:
            del os.environ[name]
    for name in VARIABLES[source]:
        if not os.environ.get(name):
            print(f"{name} is not set: give the emulator's variables for {source}", file=sys.stderr)
            return 2
    logging.disable(logging.CRITICAL)
    check = Verifier(keys_url)
    failed = 0
    for client, get in (("sync", get_sync), ("aio", get_aio)):
        for name, selector, value, wanted in cases():
            failed += not run(source, client, name, selector, value, wanted, get, check)
    return min(failed, 1)


def cases():
    """Name, kind of selector, its value, and the client id that the token must have (None: a refusal)."""
    yield "system", None, None, SYSTEM
    for colour, ids in USERS.items():
        for kind, value in ids.items():
            yield f"{colour} by {kind}", kind, value, ids["client_id"]
    yield "unknown client_id", "unknown", UNKNOWN, None
    yield "unknown resource", "resource", None, None


def run(source, client, name, selector, value, wanted, get, check) -> bool:
    case = f"{source}/{client}/{name}"
    scope = "https://unknown.example/.default" if selector == "resource" else f"{RESOURCE}/.default"
    reason = UNSUPPORTED.get((source, "*", selector)) or UNSUPPORTED.get((source, client, selector))
    wanted = None if reason else wanted
    try:
        token = get(arguments(source, client, selector, value), scope)
    except Exception as error:  # whatever it is, it is the outcome
        text = f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
        if reason:
            print(f"n/a    {case}: {reason}: {text}")
        elif wanted is None:
            print(f"ok     {case}: refused: {text}")
        else:
            print(f"FAILED {case}: {text}")
        return wanted is None
    if wanted is None and "ignores" not in (reason or ""):
        print(f"FAILED {case}: a token was given")
        return False
    wanted = wanted or SYSTEM
    try:
        claims = check(token.token)
        assert claims["appid"] == wanted, f"the token is for {claims['appid']}, not {wanted}"
        assert abs(token.expires_on - claims["exp"]) <= 2, f"expires_on {token.expires_on}, exp {claims['exp']}"
    except Exception as error:
        print(f"FAILED {case}: {type(error).__name__}: {error}")
        return False
    print(f"n/a    {case}: {reason}; got the system-assigned identity" if reason else f"ok     {case}")
    return True


def arguments(source, client, selector, value):
    if selector in (None, "resource"):
        return {}
    if selector in ("client_id", "unknown"):
        return {"client_id": value}
    if selector == "resource_id" and client == "aio":
        selector = AIO_RESOURCE_ID.get(source, selector)
    return {"identity_config": {selector: value}}


def get_sync(arguments, scope):
    from azure.identity import ManagedIdentityCredential

    with ManagedIdentityCredential(**arguments) as credential:
        return credential.get_token(scope)


def get_aio(arguments, scope):
    from azure.identity.aio import ManagedIdentityCredential

    async def get():
        async with ManagedIdentityCredential(**arguments) as credential:
            return await credential.get_token(scope)

    return asyncio.run(get())


class Verifier:
    """Checks signature and claims with PyJWT against the published key set."""

    def __init__(self, keys_url):
        import jwt

        self.jwt = jwt
        with urllib.request.urlopen(keys_url, timeout=10) as answer:
            self.keys = jwt.PyJWKSet.from_dict(json.load(answer))

    def __call__(self, token):
        key = self.keys[self.jwt.get_unverified_header(token)["kid"]]
        claims = self.jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=RESOURCE,
            issuer=f"https://sts.windows.net/{TENANT}/",
            options={"require": ["aud", "exp", "iat", "iss", "nbf", "oid", "sub", "tid", "uti"]},
        )
        assert claims["tid"] == TENANT and claims["oid"] == claims["sub"], "tid, oid, sub"
        assert claims["exp"] > time.time(), "exp"
        return claims


if __name__ == "__main__":
    sys.exit(main())
