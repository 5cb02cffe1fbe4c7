#!/usr/bin/env python3
"""Signs people in by their passwords with the official azure-identity, unchanged, at an emulator on port 443.

    passwords.py

Standard input is an object of JSON: "keys_url", "user", "federated_user" and "password". The environment must have the
variable with which Python finds the emulator's CA. Output and exit code are those of entra.py; the aio half has no such credential.
"""

import json
import logging
import os
import sys
import warnings

from entra import DISABLED_USER, MFA_USER, PROXIES, PUBLIC, TENANT, Sync, Verifier, run


def main() -> int:
    given = json.load(sys.stdin)
    for name in [*PROXIES, *(name for name in os.environ if name.startswith("AZURE_"))]:
        os.environ.pop(name, None)
    logging.disable(logging.CRITICAL)
    # The credential is deprecated, as people who use it are told.
    warnings.simplefilter("ignore")
    check, clients = Verifier(given["keys_url"]), Sync()
    failed = sum(not run("password/sync", check, clients, *case) for case in cases(clients, given))
    return min(failed, 1)


def cases(clients, given):
    def person(user, password=given["password"], **more):
        more = {"authority": "https://localhost", "disable_instance_discovery": True, "tenant_id": TENANT} | more
        return lambda: clients.make("UsernamePasswordCredential", PUBLIC, user, password, **more)

    for kind, user in (("managed", given["user"]), ("federated", given["federated_user"])):
        claims = {"upn": user, "appidacr": "0", "scp": "user_impersonation"}
        yield f"{kind}, a token", person(user), {}, PUBLIC, claims
        yield f"{kind}, of another resource", person(user), {"resource": "https://vault.azure.net"}, PUBLIC, claims
        yield f"{kind}, at the organizations", person(user, tenant_id="organizations"), {}, PUBLIC, claims
        yield f"{kind}, CAE", person(user), {"enable_cae": True}, PUBLIC, claims | {"xms_cc": ["CP1"]}
        yield f"{kind}, refreshed", person(user), {"refresh": True}, PUBLIC, claims
        wrong = "AADSTS50126" if kind == "managed" else "FailedAuthentication"
        yield f"{kind}, wrong password", person(user, "wr<&>ng"), {}, wrong, {}
    yield "a second factor demanded", person(MFA_USER), {}, "AADSTS50076", {}
    yield "somebody disabled", person(DISABLED_USER), {}, "AADSTS50057", {}


if __name__ == "__main__":
    sys.exit(main())
