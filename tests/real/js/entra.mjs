#!/usr/bin/env node
// Gets tokens from the emulator's Entra ID with the official @azure/identity, unchanged.
//
//     node entra.mjs
//
// Run it where `npm ci` put its packages. Input, output and exit codes are those of ../python/entra.py.
// node has to trust the emulator's CA by NODE_EXTRA_CA_CERTS.

import { X509Certificate, constants, createHash, createPublicKey, randomUUID, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const PROXIES = "http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY".split(" ");

const TENANT = "7e57ab1e-0000-4000-8000-000000000001";
const DOMAIN = "contoso.example";
const OTHER_TENANT = "7e57ab1e-0000-4000-8000-000000000009";
const PUBLIC = "7e57ab1e-0000-4000-8000-0000000000e5";
const USER = { oid: "7e57ab1e-0000-4000-8000-000000000ada", upn: "ada@contoso.example", scp: "user_impersonation" };
const PASSWORD = "PUBLIC test password";
const MFA_USER = "grace@contoso.example";
const DISABLED_USER = "mallory@contoso.example";
const REDIRECT_URI = "https://web.contoso.example/signed-in";
const UNKNOWN = "7e57ab1e-0000-4000-8000-00000000dead";
const EXPIRED = ["7e57ab1e-0000-4000-8000-0000000000e3", "PUBLIC-test~secret.that_has-expired012345"];
const DISABLED = "7e57ab1e-0000-4000-8000-0000000000e4";
const STORAGE = "https://storage.azure.com";
const VAULT = "https://vault.azure.net";
const CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1600000000"}}}';
// What the refusal of somebody without a second factor demands.
const MFA_CLAIMS = '{"access_token":{"capolids":{"essential":true,"values":["7e57ab1e-0000-4000-8000-0000000000ca"]}}}';
// Before the text of an error: what this version of the SDK cannot do.
const NOT_AVAILABLE = "n/a ";
const SIGNED = { appidacr: "2" };

const given = JSON.parse(readFileSync(0, "utf8"));
const { variables, certificate: own } = given;
const authorityHost = variables.secret.AZURE_AUTHORITY_HOST;
const AUTHORITY = { authorityHost, disableInstanceDiscovery: true };
// node has read it when it started.
const managed = new Set(Object.values(variables).flatMap(Object.keys).filter((name) => name !== "NODE_EXTRA_CA_CERTS"));
for (const name of [...PROXIES, ...Object.keys(process.env).filter((name) => name.startsWith("AZURE_"))]) {
  delete process.env[name];
}
// From the working directory, so that the packages need not be installed beside this file.
const sdk = createRequire(join(process.cwd(), "package.json"))("@azure/identity");
const { keys } = await (await fetch(given.keys_url)).json();

// Each case: a name, how to make the credential, options of getToken, the token's client id or a text of the error, and
// claims that the token has.
const flows = {
  *secret() {
    const { AZURE_CLIENT_ID: id, AZURE_CLIENT_SECRET: right } = variables.secret;
    const secret = ({ tenant = TENANT, client = id, secret = right, ...more }) =>
      make("ClientSecretCredential", [tenant, client, secret], more);
    yield ["a token", secret({}), {}, id];
    yield ["of another resource", secret({}), { resource: VAULT }, id];
    yield ["tenant by domain", secret({ tenant: DOMAIN }), {}, id];
    const every = secret({ additionallyAllowedTenants: ["*"] });
    yield ["another tenant", every, { tenantId: OTHER_TENANT }, id, { tid: OTHER_TENANT }];
    yield ["another tenant, not allowed", secret({}), { tenantId: OTHER_TENANT }, "not configured to acquire tokens"];
    yield ["CAE", secret({}), { enableCae: true }, id, { xms_cc: ["CP1"] }];
    yield ["claims", secret({}), { claims: CLAIMS }, id, { xms_cc: undefined }];
    yield ["claims and CAE", secret({}), { claims: CLAIMS, enableCae: true }, id, { xms_cc: ["CP1"] }];
    yield ["from variables", () => new sdk.EnvironmentCredential({ disableInstanceDiscovery: true }), {}, id];
    yield ["wrong secret", secret({ secret: "wrong" }), {}, "AADSTS7000215"];
    yield ["expired secret", secret({ client: EXPIRED[0], secret: EXPIRED[1] }), {}, "AADSTS7000222"];
    yield ["disabled", secret({ client: DISABLED }), {}, "AADSTS7000112"];
    yield ["unknown client", secret({ client: UNKNOWN }), {}, "AADSTS700016"];
    // MSAL asks for the tenant's document first, and keeps to itself what the answer says.
    yield ["unknown tenant", secret({ tenant: UNKNOWN }), {}, "endpoints_resolution_error"];
    yield ["unknown resource", secret({}), { resource: "https://unknown.example" }, "AADSTS500011"];
  },
  *certificate() {
    const certificate = (client, file, more) => {
      const certificatePassword = file.includes("pem") && !file.startsWith("encrypted") ? undefined : own.password;
      return make("ClientCertificateCredential", [TENANT, own[client], { certificatePath: own[file], certificatePassword }], more);
    };
    for (const file of ["pem", "encrypted_pem"]) {
      yield [file, certificate("client_id", file), {}, own.client_id, SIGNED];
      yield [`${file}, chain`, certificate("client_id", file, { sendCertificateChain: true }), {}, own.client_id, SIGNED];
    }
    yield ["pfx", certificate("client_id", "pfx"), {}, `${NOT_AVAILABLE}PEM`];
    const data = { certificate: readFileSync(own.pem, "utf8") };
    yield ["from text", make("ClientCertificateCredential", [TENANT, own.client_id, data]), {}, own.client_id, SIGNED];
    const named = certificate("named_client_id", "pem", { sendCertificateChain: true });
    yield ["subject name", named, {}, own.named_client_id, SIGNED];
    yield ["subject name, no chain", certificate("named_client_id", "pem"), {}, "AADSTS700027"];
    yield ["another certificate", certificate("client_id", "other_pem"), {}, "AADSTS700027"];
  },
  *assertion() {
    const { AZURE_CLIENT_ID: id, AZURE_FEDERATED_TOKEN_FILE: file } = variables.workload;
    const assertion = (get, client = own.client_id) => make("ClientAssertionCredential", [TENANT, client, get]);
    yield ["signed by node", assertion(async () => signed(300)), {}, own.client_id, SIGNED];
    yield ["of a cluster", assertion(async () => readFileSync(file, "utf8"), id), {}, id, SIGNED];
    yield ["expired", assertion(async () => signed(-600)), {}, "AADSTS700024"];
    yield ["of nobody", assertion(async () => "nonsense"), {}, "AADSTS50027"];
  },
  *workload() {
    yield ["from variables", workload({}), {}, variables.workload.AZURE_CLIENT_ID];
    yield ["no file", workload({ tokenFilePath: "/nowhere/token" }), {}, "ENOENT"];
    yield ["unknown client", workload({ clientId: UNKNOWN }), {}, "AADSTS700016"];
  },
  *binding() {
    // The SDK sends everything to the proxy, which knows the token endpoint only. MSAL asks for nothing else where it knows
    // the authority; the proxy stands in for that.
    const byProxy = { enableAzureProxy: true, authorityHost: "https://login.microsoftonline.com" };
    yield ["by the proxy of the cluster", workload(byProxy), {}, variables.binding.AZURE_CLIENT_ID];
    // The token of the file is for the proxy, not for Entra ID.
    yield ["around it", workload({}), {}, "AADSTS700212"];
  },
  *pipelines() {
    const { AZURESUBSCRIPTION_CLIENT_ID: id, ...job } = variables.pipelines;
    const pipelines = (connection, token) => make("AzurePipelinesCredential", [TENANT, id, connection, token]);
    const { AZURESUBSCRIPTION_SERVICE_CONNECTION_ID: connection, SYSTEM_ACCESSTOKEN: token } = job;
    yield ["a token", pipelines(connection, token), {}, id];
    yield ["wrong token of the job", pipelines(connection, "wrong"), {}, "TF400813"];
    yield ["unknown connection", pipelines(UNKNOWN, token), {}, "was not found"];
  },
  *on_behalf_of() {
    const { AZURE_CLIENT_ID: web, AZURE_CLIENT_SECRET: clientSecret } = variables.secret;
    const { AZURE_CLIENT_ID: pod, AZURE_FEDERATED_TOKEN_FILE: file } = variables.workload;
    const called = (userName, api = web) => control("user-token", { client_id: PUBLIC, scope: `api://${api}/.default`, user: userName });
    const service = ({ assertion, tenant = TENANT, client = web, proof = { clientSecret } } = {}) => async () => {
      const userAssertionToken = (await assertion) ?? (await called(USER.upn, client)).access_token;
      return new sdk.OnBehalfOfCredential({ tenantId: tenant, clientId: client, userAssertionToken, ...proof, ...AUTHORITY });
    };
    const token = async (...call) => (await called(...call)).access_token;
    yield ["a token", service(), {}, web, { ...USER, appidacr: "1" }];
    yield ["of another resource", service(), { resource: VAULT }, web, USER];
    yield ["tenant by domain", service({ tenant: DOMAIN }), {}, web, USER];
    yield ["CAE", service(), { enableCae: true }, web, { ...USER, xms_cc: ["CP1"] }];
    yield ["claims", service(), { claims: CLAIMS }, web, { ...USER, xms_cc: undefined }];
    const certificate = service({ client: own.client_id, proof: { certificatePath: own.pem } });
    yield ["by a certificate", certificate, {}, own.client_id, { ...USER, ...SIGNED }];
    const cluster = service({ client: pod, proof: { getAssertion: async () => readFileSync(file, "utf8") } });
    yield ["by the token of a cluster", cluster, {}, pod, { ...USER, ...SIGNED }];
    yield ["a second factor demanded", service({ assertion: token(MFA_USER) }), {}, "AADSTS50076"];
    const shown = service({ assertion: token(MFA_USER) });
    yield ["a second factor shown", shown, { claims: MFA_CLAIMS }, web, { amr: ["pwd", "mfa"] }];
    yield ["wrong secret", service({ proof: { clientSecret: "wrong" } }), {}, "AADSTS7000215"];
    yield ["for another service", service({ assertion: token(USER.upn, own.client_id) }), {}, "AADSTS500131"];
    yield ["of nobody", service({ assertion: "nonsense" }), {}, "AADSTS50027"];
    yield ["of somebody disabled", service({ assertion: token(DISABLED_USER) }), {}, "AADSTS50057"];
    yield ["unknown resource", service(), { resource: "https://unknown.example" }, "AADSTS500011"];
  },
  *code() {
    const { AZURE_CLIENT_ID: web, AZURE_CLIENT_SECRET: right } = variables.secret;
    const fresh = async (client = web, redirect_uri = REDIRECT_URI, userName = USER.upn) => {
      const order = { client_id: client, redirect_uri, scope: "openid profile", user: userName };
      return (await control("code", order)).code;
    };
    const site = ({ code, client = web, redirect = REDIRECT_URI, secret = right } = {}) => async () => {
      const proof = secret === null ? [] : [secret];
      return make("AuthorizationCodeCredential", [TENANT, client, ...proof, (await code) ?? (await fresh()), redirect])();
    };
    yield ["a token", site(), {}, web, { ...USER, appidacr: "1" }];
    yield ["CAE", site(), { enableCae: true }, web, { ...USER, xms_cc: ["CP1"] }];
    yield ["refreshed", site(), { refresh: true }, web, USER];
    yield ["with a second factor", site({ code: fresh(web, REDIRECT_URI, MFA_USER) }), {}, web, { amr: ["pwd", "mfa"] }];
    const used = fresh();
    yield ["used once", site({ code: used }), {}, web, USER];
    yield ["used twice", site({ code: used }), {}, "AADSTS54005"];
    yield ["another redirect URI", site({ redirect: "http://localhost:1" }), {}, "AADSTS500112"];
    yield ["wrong secret", site({ secret: "wrong" }), {}, "AADSTS7000215"];
    yield ["no secret", site({ secret: null }), {}, "AADSTS7000218"];
    const local = "http://localhost:8400";
    const bare = site({ code: fresh(PUBLIC, local), client: PUBLIC, redirect: local, secret: null });
    yield ["without PKCE", bare, {}, "AADSTS9002325"];
    yield ["of nobody", site({ code: "nonsense" }), {}, "AADSTS9002313"];
  },
  *password() {
    const person = (name = USER.upn, password = PASSWORD, tenant = TENANT) =>
      make("UsernamePasswordCredential", [tenant, PUBLIC, name, password]);
    yield ["a token", person(), {}, PUBLIC, { ...USER, appidacr: "0" }];
    yield ["of another resource", person(), { resource: VAULT }, PUBLIC, USER];
    yield ["at the organizations", person(USER.upn, PASSWORD, "organizations"), {}, PUBLIC, USER];
    yield ["CAE", person(), { enableCae: true }, PUBLIC, { ...USER, xms_cc: ["CP1"] }];
    yield ["refreshed", person(), { refresh: true }, PUBLIC, USER];
    yield ["wrong password", person(USER.upn, "wrong"), {}, "AADSTS50126"];
    yield ["a second factor demanded", person(MFA_USER), {}, "AADSTS50076"];
    yield ["somebody disabled", person(DISABLED_USER), {}, "AADSTS50057"];
    yield ["a password that has expired", person("hedy@contoso.example"), {}, "AADSTS50055"];
    // This SDK asks nobody who knows a password: that of a federated user is wrong here.
    yield ["known to AD FS", person("katherine@adfs.contoso.example"), {}, "AADSTS50126"];
    yield ["nobody", person("nobody@contoso.example"), {}, "AADSTS50034"];
  },
};

// The authority, too, comes from the environment.
function workload(options) {
  return () => new sdk.WorkloadIdentityCredential({ disableInstanceDiscovery: true, ...options });
}

function make(kind, positional, more) {
  return () => new sdk[kind](...positional, { ...AUTHORITY, ...more });
}

// What other languages ask the emulator for, beside tokens: it is where the keys are.
async function control(path, order) {
  const url = `${given.keys_url.split(`/${TENANT}/`)[0]}/__emulator/${path}`;
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(order) });
  if (!answer.ok) {
    throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }
  return answer.json();
}

function signed(lifetime) {
  const x5t = createHash("sha256").update(new X509Certificate(readFileSync(own.certificate)).raw).digest("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud: `${authorityHost}/${TENANT}/oauth2/v2.0/token`,
    iss: own.client_id,
    sub: own.client_id,
    jti: randomUUID(),
    nbf: now - 1200,
    exp: now + lifetime,
  };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "PS256", typ: "JWT", "x5t#S256": x5t })}.${part(claims)}`;
  const key = { key: readFileSync(own.key), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  return `${text}.${sign("sha256", Buffer.from(text), key).toString("base64url")}`;
}

async function run(flow, [name, create, { resource = STORAGE, refresh = false, ...options }, wanted, claims = {}]) {
  const label = `${flow}/js/${name}`;
  const isRefusal = !wanted.includes("-");
  let token, again;
  try {
    const credential = await create();
    token = await credential.getToken(`${resource}/.default`, options);
    // Claims are not answered from memory: the refresh token is all that is left for them.
    again = await credential.getToken(`${resource}/.default`, { ...options, claims: refresh ? CLAIMS : undefined });
  } catch (error) {
    const text = `${error.name}: ${error.message}`.replaceAll("\n", " ").slice(0, 600);
    const isExpected = isRefusal && text.includes(wanted.replace(NOT_AVAILABLE, ""));
    const word = wanted.startsWith(NOT_AVAILABLE) ? "n/a   " : "ok    ";
    console.log(`${isExpected ? word : "FAILED"} ${label}: ${text}`);
    return isExpected;
  }
  try {
    if (isRefusal) {
      throw new Error("a token was given");
    }
    const found = check(token.token, resource, claims.tid ?? TENANT);
    for (const [claim, value] of Object.entries({ appid: wanted, ...claims })) {
      if (JSON.stringify(found[claim]) !== JSON.stringify(value)) {
        throw new Error(`${claim} is ${found[claim]}, not ${value}`);
      }
    }
    if (Math.abs(token.expiresOnTimestamp / 1000 - found.exp) > 2) {
      throw new Error(`expiresOnTimestamp ${token.expiresOnTimestamp}, exp ${found.exp}`);
    }
    if ((again.token === token.token) === refresh || check(again.token, resource, found.tid).oid !== found.oid) {
      throw new Error("the second one is not as it should be");
    }
  } catch (error) {
    console.log(`FAILED ${label}: ${error.message}`);
    return false;
  }
  console.log(`ok     ${label}`);
  return true;
}

// The claims, if node's crypto verifies the signature with the published key.
function check(token, audience, tenant) {
  const [head, body, signature] = token.split(".");
  const read = (part) => JSON.parse(Buffer.from(part, "base64url").toString());
  const { alg, kid } = read(head);
  const key = keys.find((key) => key.kid === kid);
  if (alg !== "RS256" || key === undefined) {
    throw new Error(`no key for ${alg} ${kid}`);
  }
  const publicKey = createPublicKey({ key, format: "jwk" });
  if (!verify("sha256", Buffer.from(`${head}.${body}`), publicKey, Buffer.from(signature, "base64url"))) {
    throw new Error("the signature does not verify");
  }
  const claims = read(body);
  const now = Date.now() / 1000;
  if (claims.aud !== audience || claims.iss !== `https://sts.windows.net/${tenant}/` || claims.tid !== tenant) {
    throw new Error(`aud ${claims.aud}, iss ${claims.iss}, tid ${claims.tid}`);
  }
  if (!(claims.nbf <= now && now < claims.exp)) {
    throw new Error(`nbf ${claims.nbf}, exp ${claims.exp}, now ${now}`);
  }
  return claims;
}

let failed = 0;
for (const [flow, cases] of Object.entries(flows)) {
  for (const name of managed) {
    delete process.env[name];
  }
  Object.assign(process.env, variables[flow]);
  for (const one of cases()) {
    failed += !(await run(flow, one));
  }
}
process.exitCode = Math.min(failed, 1);
