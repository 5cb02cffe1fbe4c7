#!/usr/bin/env python3
"""Gets tokens from the emulator's Entra ID with the official azure-identity, sync and aio, unchanged.

    entra.py

Standard input is an object of JSON: "keys_url"; "variables" for "secret", "workload", "binding" and "pipelines", as the
emulator gives them; and, for applications that have a certificate, "certificate": "client_id" (registered with it),
"named_client_id" (registered by its subject name), "certificate", "key", "pem", "encrypted_pem", "pfx" and "other_pem"
(paths), "password". Tokens and codes of users come from the emulator's control interface, which is where "keys_url" is. The environment must have the variables with which Python finds the emulator's CA.

One line per case: "ok", "FAILED" or "n/a" (the SDK has no such thing), then flow/client/case. The exit code is 0 if every case went as expected.
"""

import asyncio
import base64
import hashlib
import json
import logging
import os
import ssl
import sys
import time
import urllib.request
import uuid

PROXIES = "http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY".split()

TENANT = "7e57ab1e-0000-4000-8000-000000000001"
DOMAIN = "contoso.example"
OTHER_TENANT = "7e57ab1e-0000-4000-8000-000000000009"
PUBLIC = "7e57ab1e-0000-4000-8000-0000000000e5"
USER = {"oid": "7e57ab1e-0000-4000-8000-000000000ada", "upn": "ada@contoso.example", "scp": "user_impersonation"}
MFA_USER = "grace@contoso.example"
DISABLED_USER = "mallory@contoso.example"
REDIRECT_URI = "https://web.contoso.example/signed-in"
UNKNOWN = "7e57ab1e-0000-4000-8000-00000000dead"
EXPIRED = ("7e57ab1e-0000-4000-8000-0000000000e3", "PUBLIC-test~secret.that_has-expired012345")
DISABLED = "7e57ab1e-0000-4000-8000-0000000000e4"
STORAGE = "https://storage.azure.com"
VAULT = "https://vault.azure.net"
NOT_ALLOWED = "not configured to acquire tokens"
# Before the text of an error: what this version of the SDK cannot do.
NOT_AVAILABLE = "n/a "
CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1600000000"}}}'
# What the refusal of somebody without a second factor demands.
MFA_CLAIMS = '{"access_token":{"capolids":{"essential":true,"values":["7e57ab1e-0000-4000-8000-0000000000ca"]}}}'


def main() -> int:
    given = json.load(sys.stdin)
    variables = given["variables"]
    managed = {name for flow in variables.values() for name in flow}
    for name in [*PROXIES, *(name for name in os.environ if name in managed or name.startswith("AZURE_"))]:
        if name not in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            os.environ.pop(name, None)
    logging.disable(logging.CRITICAL)
    check = Verifier(given["keys_url"])
    failed = 0
    for client, clients in (("sync", Sync()), ("aio", Aio())):
        flows = Flows(clients, given)
        for flow in ("secret", "certificate", "assertion", "workload", "binding", "pipelines", "on_behalf_of", "code"):
            set_variables(variables.get(flow, {}), managed)
            for case in getattr(flows, flow)():
                failed += not run(f"{flow}/{client}", check, clients, *case)
    return min(failed, 1)


def set_variables(wanted, managed):
    for name in managed - {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}:
        os.environ.pop(name, None)
        if name in wanted:
            os.environ[name] = wanted[name]


class Flows:
    """The cases of each flow: name, how to make the credential, arguments of get_token, what must come out.

    What must come out is the client id of the token and more claims, or a text of the error."""

    def __init__(self, clients, given):
        self.clients = clients
        self.given = given

    def make(self, kind, *arguments, **more):
        authority = self.given["variables"]["secret"]["AZURE_AUTHORITY_HOST"]
        return lambda: self.clients.make(
            kind, *arguments, authority=authority, disable_instance_discovery=True, **more
        )

    def secret(self):
        web = self.given["variables"]["secret"]
        client_id, right = web["AZURE_CLIENT_ID"], web["AZURE_CLIENT_SECRET"]

        def secret(tenant=TENANT, client=client_id, secret=right, **more):
            return self.make("ClientSecretCredential", tenant, client, secret, **more)

        yield "a token", secret(), {}, client_id, {}
        yield "of another resource", secret(), {"resource": VAULT}, client_id, {}
        yield "tenant by domain", secret(tenant=DOMAIN), {}, client_id, {}
        every = secret(additionally_allowed_tenants=["*"])
        yield "another tenant", every, {"tenant_id": OTHER_TENANT}, client_id, {"tid": OTHER_TENANT}
        yield "another tenant, not allowed", secret(), {"tenant_id": OTHER_TENANT}, NOT_ALLOWED, {}
        yield "CAE", secret(), {"enable_cae": True}, client_id, {"xms_cc": ["CP1"]}
        yield "claims", secret(), {"claims": CLAIMS}, client_id, {"xms_cc": None}
        yield "claims and CAE", secret(), {"claims": CLAIMS, "enable_cae": True}, client_id, {"xms_cc": ["CP1"]}
        yield "from variables", self.make("EnvironmentCredential"), {}, client_id, {}
        yield "wrong secret", secret(secret="wrong"), {}, "AADSTS7000215", {}
        yield "expired secret", secret(client=EXPIRED[0], secret=EXPIRED[1]), {}, "AADSTS7000222", {}
        yield "disabled", secret(client=DISABLED), {}, "AADSTS7000112", {}
        yield "unknown client", secret(client=UNKNOWN), {}, "AADSTS700016", {}
        yield "unknown tenant", secret(tenant=UNKNOWN), {}, self.clients.unknown_tenant, {}
        yield "unknown resource", secret(), {"resource": "https://unknown.example"}, "AADSTS500011", {}

    def certificate(self):
        own = self.given["certificate"]

        def certificate(client, file, **more):
            password = None if file in ("pem", "other_pem") else own["password"]
            return self.make(
                "CertificateCredential", TENANT, own[client], certificate_path=own[file], password=password, **more
            )

        for file in ("pem", "encrypted_pem", "pfx"):
            yield file, certificate("client_id", file), {}, own["client_id"], {"appidacr": "2"}
            if self.clients.has_chains:
                chain = certificate("client_id", file, send_certificate_chain=True)
                yield f"{file}, chain", chain, {}, own["client_id"], {"appidacr": "2"}
        with open(own["pem"], "rb") as file:
            data = self.make("CertificateCredential", TENANT, own["client_id"], certificate_data=file.read())
        yield "from bytes", data, {}, own["client_id"], {"appidacr": "2"}
        named = certificate("named_client_id", "pem", send_certificate_chain=True)
        wanted = own["named_client_id"] if self.clients.has_chains else f"{NOT_AVAILABLE}AADSTS700027"
        yield "subject name", named, {}, wanted, {"appidacr": "2"}
        yield "subject name, no chain", certificate("named_client_id", "pem"), {}, "AADSTS700027", {}
        yield "another certificate", certificate("client_id", "other_pem"), {}, "AADSTS700027", {}

    def assertion(self):
        own = self.given["certificate"]
        federated = self.given["variables"]["workload"]

        def assertion(get, client=own["client_id"]):
            return self.make("ClientAssertionCredential", TENANT, client, get)

        def pod():
            with open(federated["AZURE_FEDERATED_TOKEN_FILE"], encoding="ascii") as file:
                return file.read()

        yield "signed by PyJWT", assertion(lambda: self.signed(300)), {}, own["client_id"], {"appidacr": "2"}
        client_id = federated["AZURE_CLIENT_ID"]
        yield "of a cluster", assertion(pod, client_id), {}, client_id, {"appidacr": "2"}
        yield "expired", assertion(lambda: self.signed(-600)), {}, "AADSTS700024", {}
        yield "of nobody", assertion(lambda: "nonsense"), {}, "AADSTS50027", {}

    def signed(self, lifetime):
        import jwt

        own = self.given["certificate"]
        authority = self.given["variables"]["secret"]["AZURE_AUTHORITY_HOST"]
        with open(own["certificate"], encoding="ascii") as file:
            der = ssl.PEM_cert_to_DER_cert(file.read())
        with open(own["key"], "rb") as file:
            key = file.read()
        thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        now = int(time.time())
        claims = {
            "aud": f"{authority}/{TENANT}/oauth2/v2.0/token",
            "iss": own["client_id"],
            "sub": own["client_id"],
            "jti": str(uuid.uuid4()),
            "nbf": now - 1200,
            "exp": now + lifetime,
        }
        return jwt.encode(claims, key, algorithm="PS256", headers={"x5t#S256": thumbprint})

    def workload(self):
        client_id = self.given["variables"]["workload"]["AZURE_CLIENT_ID"]
        yield "from variables", self.from_variables("WorkloadIdentityCredential"), {}, client_id, {}
        missing = self.from_variables("WorkloadIdentityCredential", token_file_path="/nowhere/token")
        yield "no file", missing, {}, "No such file", {}
        other = self.from_variables("WorkloadIdentityCredential", client_id=UNKNOWN)
        yield "unknown client", other, {}, "AADSTS700016", {}

    def binding(self):
        client_id = self.given["variables"]["binding"]["AZURE_CLIENT_ID"]
        make = self.from_variables("WorkloadIdentityCredential", enable_azure_proxy=True)
        yield "by the proxy of the cluster", make, {}, client_id, {}
        # The token of the file is for the proxy, not for Entra ID.
        around = self.from_variables("WorkloadIdentityCredential")
        yield "around it", around, {}, "AADSTS700212", {}

    def pipelines(self):
        given = self.given["variables"]["pipelines"]

        def pipelines(token=given["SYSTEM_ACCESSTOKEN"], connection=given["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"]):
            arguments = {"tenant_id": TENANT, "client_id": given["AZURESUBSCRIPTION_CLIENT_ID"]}
            arguments |= {"service_connection_id": connection, "system_access_token": token}
            return self.make("AzurePipelinesCredential", **arguments)

        yield "a token", pipelines(), {}, given["AZURESUBSCRIPTION_CLIENT_ID"], {}
        yield "wrong token of the job", pipelines(token="wrong"), {}, "TF400813", {}
        yield "unknown connection", pipelines(connection=UNKNOWN), {}, "was not found", {}

    def on_behalf_of(self):
        web = self.given["variables"]["secret"]
        own = self.given["certificate"]
        federated = self.given["variables"]["workload"]
        web_id, secret = web["AZURE_CLIENT_ID"], web["AZURE_CLIENT_SECRET"]

        def called(user=USER["upn"], api=web_id):
            return self.control("user-token", client_id=PUBLIC, scope=f"api://{api}/.default", user=user)["access_token"]

        def service(assertion=None, tenant=TENANT, client=web_id, **proof):
            proof = proof or {"client_secret": secret}
            assertion = assertion or called(api=client)
            return self.make("OnBehalfOfCredential", tenant, client, user_assertion=assertion, **proof)

        def pod():
            with open(federated["AZURE_FEDERATED_TOKEN_FILE"], encoding="ascii") as file:
                return file.read()

        yield "a token", service(), {}, web_id, USER | {"appidacr": "1"}
        yield "of another resource", service(), {"resource": VAULT}, web_id, USER
        yield "tenant by domain", service(tenant=DOMAIN), {}, web_id, USER
        yield "CAE", service(), {"enable_cae": True}, web_id, USER | {"xms_cc": ["CP1"]}
        yield "claims", service(), {"claims": CLAIMS}, web_id, USER | {"xms_cc": None}
        with open(own["pem"], "rb") as file:
            pem = file.read()
        proved = service(client=own["client_id"], client_certificate=pem)
        yield "by a certificate", proved, {}, own["client_id"], USER | {"appidacr": "2"}
        pod_id = federated["AZURE_CLIENT_ID"]
        yield "by the token of a cluster", service(client=pod_id, client_assertion_func=pod), {}, pod_id, USER
        yield "refreshed", service(), {"more_scopes": self.clients.offline, "refresh": True}, web_id, USER
        yield "a second factor demanded", service(called(MFA_USER)), {}, "AADSTS50076", {}
        yield "a second factor shown", service(called(MFA_USER)), {"claims": MFA_CLAIMS}, web_id, {"amr": ["pwd", "mfa"]}
        yield "wrong secret", service(client_secret="wrong"), {}, "AADSTS7000215", {}
        yield "for another service", service(called(api=own["client_id"])), {}, "AADSTS500131", {}
        yield "of nobody", service("nonsense"), {}, "AADSTS50027", {}
        yield "of a program", service(self.app_token(web_id, secret)), {}, "AADSTS7000114", {}
        yield "of somebody disabled", service(called(DISABLED_USER)), {}, "AADSTS50057", {}
        yield "unknown resource", service(), {"resource": "https://unknown.example"}, "AADSTS500011", {}

    def app_token(self, client_id, secret):
        """A token that the application has for itself."""
        import msal

        authority = self.given["variables"]["secret"]["AZURE_AUTHORITY_HOST"]
        app = msal.ConfidentialClientApplication(
            client_id, secret, authority=f"{authority}/{TENANT}", instance_discovery=False
        )
        return app.acquire_token_for_client([f"api://{client_id}/.default"])["access_token"]

    def code(self):
        web = self.given["variables"]["secret"]
        web_id, secret = web["AZURE_CLIENT_ID"], web["AZURE_CLIENT_SECRET"]

        def new(client=web_id, redirect=REDIRECT_URI, scope="openid profile", user=USER["upn"]):
            return self.control("code", client_id=client, redirect_uri=redirect, scope=scope, user=user)["code"]

        def site(code=None, client=web_id, redirect=REDIRECT_URI, secret=secret):
            arguments = {"tenant_id": TENANT, "client_id": client, "redirect_uri": redirect, "client_secret": secret}
            return self.make("AuthorizationCodeCredential", authorization_code=code or new(), **arguments)

        yield "a token", site(), {}, web_id, USER | {"appidacr": "1"}
        yield "CAE", site(), {"enable_cae": True}, web_id, USER | {"xms_cc": ["CP1"]}
        yield "refreshed", site(), {"more_scopes": ["offline_access"], "refresh": True}, web_id, USER
        yield "with a second factor", site(new(user=MFA_USER)), {}, web_id, {"amr": ["pwd", "mfa"]}
        used = new()
        yield "used once", site(used), {}, web_id, USER
        yield "used twice", site(used), {}, "AADSTS54005", {}
        yield "another redirect URI", site(redirect="http://localhost:1"), {}, "AADSTS500112", {}
        yield "wrong secret", site(secret="wrong"), {}, "AADSTS7000215", {}
        yield "no secret", site(secret=None), {}, "AADSTS7000218", {}
        local = "http://localhost:8400"
        public = new(client=PUBLIC, redirect=local)
        yield "without PKCE", site(public, client=PUBLIC, redirect=local, secret=None), {}, "AADSTS9002325", {}
        yield "of nobody", site("nonsense"), {}, "AADSTS9002313", {}

    def control(self, path, **order):
        url = f"{self.given['keys_url'].split(f'/{TENANT}/')[0]}/__emulator/{path}"
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data=json.dumps(order).encode(), headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def from_variables(self, kind, **more):
        """The authority, too, comes from the environment."""
        return lambda: self.clients.make(kind, disable_instance_discovery=True, **more)


class Sync:
    # MSAL asks for the tenant's document first, and keeps to itself what the answer says.
    unknown_tenant = "Unable to get authority configuration"
    has_chains = True
    # MSAL asks for it anyway, and lets nobody else do so.
    offline = []

    def make(self, kind, *arguments, **more):
        import azure.identity

        return getattr(azure.identity, kind)(*arguments, **more)

    def get(self, make, scopes, first, second):
        with make() as credential:
            return credential.get_token(*scopes, **first), credential.get_token(*scopes, **second)


class Aio:
    unknown_tenant = "AADSTS90002"
    # It takes no notice of send_certificate_chain.
    has_chains = False
    offline = ["offline_access"]

    def make(self, kind, *arguments, **more):
        import azure.identity.aio

        return getattr(azure.identity.aio, kind)(*arguments, **more)

    def get(self, make, scopes, first, second):
        async def get():
            async with make() as credential:
                return await credential.get_token(*scopes, **first), await credential.get_token(*scopes, **second)

        return asyncio.run(get())


def run(flow, check, clients, name, make, more, wanted, claims) -> bool:
    more = dict(more)
    resource = more.pop("resource", STORAGE)
    scopes = [f"{resource}/.default", *more.pop("more_scopes", [])]
    # Claims are not answered from memory: the refresh token is all that is left for them.
    is_refreshed = more.pop("refresh", False)
    rest = {name: value for name, value in more.items() if name != "claims"} | ({"claims": CLAIMS} if is_refreshed else {})
    is_refusal = "-" not in wanted
    try:
        token, again = clients.get(make, scopes, more, rest)
    except Exception as error:  # whatever it is, it is the outcome
        text = f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
        is_expected = is_refusal and wanted.removeprefix(NOT_AVAILABLE) in text
        word = ("n/a   " if wanted.startswith(NOT_AVAILABLE) else "ok    ") if is_expected else "FAILED"
        print(f"{word} {flow}/{name}: {text}", flush=True)
        return is_expected
    try:
        assert not is_refusal, "a token was given"
        found = check(token.token, resource, claims.get("tid", TENANT))
        assert found["appid"] == wanted, f"the token is for {found['appid']}"
        for claim, value in claims.items():
            assert found.get(claim) == value, f"{claim} is {found.get(claim)}, not {value}"
        assert abs(token.expires_on - found["exp"]) <= 2, f"expires_on {token.expires_on}, exp {found['exp']}"
        assert (again.token == token.token) != is_refreshed, "the second one is not as it should be"
        assert check(again.token, resource, claims.get("tid", TENANT))["oid"] == found["oid"], "the second one is of another"
    except Exception as error:
        print(f"FAILED {flow}/{name}: {type(error).__name__}: {error}", flush=True)
        return False
    print(f"ok     {flow}/{name}", flush=True)
    return True


class Verifier:
    """Checks signature and claims with PyJWT against the published key set."""

    def __init__(self, keys_url):
        import jwt

        self.jwt = jwt
        with urllib.request.urlopen(keys_url, timeout=10) as answer:
            self.keys = jwt.PyJWKSet.from_dict(json.load(answer))

    def __call__(self, token, audience, tenant):
        key = self.keys[self.jwt.get_unverified_header(token)["kid"]]
        issuer = f"https://sts.windows.net/{tenant}/"
        required = ["aud", "exp", "iat", "iss", "nbf", "oid", "sub", "tid", "uti", "appid"]
        found = self.jwt.decode(
            token, key, algorithms=["RS256"], audience=audience, issuer=issuer, options={"require": required}
        )
        # Only programs are called the same by everyone.
        is_program = found["oid"] == found["sub"]
        assert found["tid"] == tenant and is_program == (found["idtyp"] == "app"), "tid, oid, sub"
        return found


if __name__ == "__main__":
    sys.exit(main())
