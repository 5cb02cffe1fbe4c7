#!/usr/bin/env node
// Gets tokens from the emulator with the official @azure/identity, unchanged.
//
//     node tokens.mjs SOURCE KEYS_URL
//
// Run it where `npm ci` put its packages, whatever that directory is. Arguments, variables, output and exit codes are those of ../python/tokens.py.

import { spawnSync } from "node:child_process";
import { createPublicKey, verify } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const VARIABLES = {
  imds: ["AZURE_POD_IDENTITY_AUTHORITY_HOST"],
  "app-service": ["IDENTITY_ENDPOINT", "IDENTITY_HEADER"],
  "azure-arc": ["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"],
  "service-fabric": ["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"],
  "azure-ml": ["MSI_ENDPOINT", "MSI_SECRET"],
  "cloud-shell": ["MSI_ENDPOINT"],
};
const TRUST_AND_PROXIES = [
  ..."NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED SSL_CERT_FILE SSL_CERT_DIR".split(" "),
  ..."http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY".split(" "),
];

const TENANT = "7e57ab1e-0000-4000-8000-000000000001";
const RESOURCE = "https://storage.azure.com";
const SYSTEM = "7e57ab1e-0000-4000-8000-0000000000c0";
const UNKNOWN = "7e57ab1e-0000-4000-8000-00000000dead";
const USERS = Object.fromEntries(
  ["blue", "green"].map((colour, index) => [
    colour,
    {
      clientId: `7e57ab1e-0000-4000-8000-0000000000c${index + 1}`,
      objectId: `7e57ab1e-0000-4000-8000-0000000000d${index + 1}`,
      resourceId:
        "/subscriptions/7e57ab1e-0000-4000-8000-000000000002/resourceGroups/emulator/providers/" +
        `Microsoft.ManagedIdentity/userAssignedIdentities/${colour}`,
    },
  ]),
);

// What this version of the SDK cannot do: a text that has to occur in its error.
const ONLY_CLIENT_ID = "Only client id is supported";
const NO_USER_ASSIGNED = "is not supported";
const UNSUPPORTED = {
  "azure-ml": { objectId: ONLY_CLIENT_ID, resourceId: ONLY_CLIENT_ID },
  "cloud-shell": { clientId: NO_USER_ASSIGNED, objectId: NO_USER_ASSIGNED, resourceId: NO_USER_ASSIGNED },
  "service-fabric": { clientId: NO_USER_ASSIGNED, objectId: NO_USER_ASSIGNED, resourceId: NO_USER_ASSIGNED },
};

async function main() {
  const [source, keysUrl] = process.argv.slice(2);
  if (process.argv.length !== 4 || !(source in VARIABLES)) {
    console.error(`usage: tokens.mjs ${Object.keys(VARIABLES).join("|")} KEYS_URL`);
    return 2;
  }
  const wanted = new Set(VARIABLES[source]);
  const known = [...Object.values(VARIABLES).flat(), ...Object.keys(process.env).filter((name) => name.startsWith("AZURE_"))];
  for (const name of [...TRUST_AND_PROXIES, ...known.filter((name) => !wanted.has(name))]) {
    delete process.env[name];
  }
  for (const name of wanted) {
    if (!process.env[name]) {
      console.error(`${name} is not set: give the emulator's variables for ${source}`);
      return 2;
    }
  }
  if (source === "service-fabric" && !process.env.EMULATOR_TRUSTED) {
    return trusting(new URL(keysUrl).origin);
  }
  delete process.env.EMULATOR_TRUSTED;
  // After the variables are right: modules may read them when they are loaded.
  // From the working directory, so that the packages need not be installed beside this file.
  const { ManagedIdentityCredential } = createRequire(join(process.cwd(), "package.json"))("@azure/identity");
  const { keys } = await (await fetch(keysUrl)).json();
  let failed = 0;
  for (const one of cases()) {
    failed += !(await run(source, one, ManagedIdentityCredential, keys));
  }
  return Math.min(failed, 1);
}

// Runs this script again with the certificate of Service Fabric trusted: the SDK does not look at the
// thumbprint but at node's own roots, which are read when node starts.
async function trusting(control) {
  const { certificate } = await (await fetch(`${control}/__emulator/service-fabric`)).json();
  const directory = mkdtempSync(join(tmpdir(), "identity-emulator-"));
  try {
    const file = join(directory, "service-fabric.pem");
    writeFileSync(file, certificate);
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: file, EMULATOR_TRUSTED: "1" };
    return spawnSync(process.execPath, process.argv.slice(1), { env, stdio: "inherit" }).status ?? 1;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

// A name, arguments of the credential, and the client id that the token must have (null: a refusal).
function* cases() {
  yield { name: "system", wanted: SYSTEM };
  for (const [colour, ids] of Object.entries(USERS)) {
    for (const [kind, value] of Object.entries(ids)) {
      yield { name: `${colour} by ${kind}`, selector: kind, options: { [kind]: value }, wanted: ids.clientId };
    }
  }
  yield { name: "unknown clientId", selector: "clientId", options: { clientId: UNKNOWN }, wanted: null };
  yield { name: "unknown resource", resource: "https://unknown.example", wanted: null };
}

async function run(source, { name, selector, options, resource = RESOURCE, wanted }, Credential, keys) {
  const label = `${source}/js/${name}`;
  const reason = UNSUPPORTED[source]?.[selector ?? "system"];
  let token;
  try {
    token = await new Credential(options).getToken(`${resource}/.default`);
  } catch (error) {
    const text = `${error.name}: ${error.message}`.replaceAll("\n", " ").slice(0, 300);
    if (reason !== undefined && text.includes(reason)) {
      console.log(`n/a    ${label}: ${text}`);
    } else if (wanted === null) {
      console.log(`ok     ${label}: refused: ${text}`);
    } else {
      console.log(`FAILED ${label}: ${text}`);
      return false;
    }
    return true;
  }
  try {
    if (reason !== undefined || wanted === null) {
      throw new Error("a token was given");
    }
    const claims = check(token.token, keys, resource);
    if (claims.appid !== wanted) {
      throw new Error(`the token is for ${claims.appid}, not ${wanted}`);
    }
    if (Math.abs(token.expiresOnTimestamp / 1000 - claims.exp) > 2) {
      throw new Error(`expiresOnTimestamp ${token.expiresOnTimestamp}, exp ${claims.exp}`);
    }
  } catch (error) {
    console.log(`FAILED ${label}: ${error.message}`);
    return false;
  }
  console.log(`ok     ${label}`);
  return true;
}

// The claims, if node's crypto verifies the signature with the published key.
function check(token, keys, resource) {
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
  if (claims.aud !== resource || claims.iss !== `https://sts.windows.net/${TENANT}/` || claims.tid !== TENANT) {
    throw new Error(`aud ${claims.aud}, iss ${claims.iss}, tid ${claims.tid}`);
  }
  if (!(claims.nbf <= now && now < claims.exp)) {
    throw new Error(`nbf ${claims.nbf}, exp ${claims.exp}, now ${now}`);
  }
  return claims;
}

process.exitCode = await main();
