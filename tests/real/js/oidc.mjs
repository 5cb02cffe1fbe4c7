#!/usr/bin/env node
// A certified OpenID provider, the package oidc-provider, where Entra ID and AD FS have their token endpoints.
//
//     node oidc.mjs FOLDER
//
// Run it where `npm ci` put its packages. FOLDER holds server.pem and server.key, for localhost; provider.key, by which its
// tokens are signed; app.pem, the certificate of the application that signs by it; and assertions.pem, the public key of the
// one that signs without.
// Prints lines of JSON: `{"origin": ..}` when it listens, then one for each token request and each question about a person's
// realm. Ends when its standard input does.
//
//     POST /{TENANT}/oauth2/v2.0/token      GET /{TENANT}/oauth2/v2.0/authorize      GET /{TENANT}/discovery/v2.0/keys
//     POST /adfs/oauth2/token               GET /adfs/oauth2/authorize               GET /adfs/discovery/keys
//     GET /common/userrealm/{NAME}
//
// Who the client is and what its signature is worth, the package decides; its answers leave as it makes them.

import { X509Certificate, createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { ON_BEHALF_OF, addGrants, realm, settings, signIn } from "./oidc-users.mjs";

const TENANT = "0dc00000-0000-4000-8000-000000000001";
const SECRET_CLIENT = "0dc00000-0000-4000-8000-0000000000a1";
const SECRET = "secret of a client / of oidc-provider+";
const CERTIFICATE_CLIENT = "0dc00000-0000-4000-8000-0000000000a2";
const ASSERTION_CLIENT = "0dc00000-0000-4000-8000-0000000000a3";
const PUBLIC_CLIENT = "0dc00000-0000-4000-8000-0000000000a4";

const [folder] = process.argv.slice(2);
if (process.argv.length !== 3) {
  console.error("usage: oidc.mjs FOLDER");
  process.exit(2);
}
const read = (name) => readFileSync(join(folder, name));
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
// It says that it would rather run on a newer node, and prints pages for people on every event.
console.warn = console.info = () => {};

// From the working directory, so that the packages need not be installed beside this file.
const packages = createRequire(join(process.cwd(), "package.json"));
const { default: Provider, errors } = await import(pathToFileURL(packages.resolve("oidc-provider")));
const { jwtVerify } = await import(pathToFileURL(createRequire(packages.resolve("oidc-provider")).resolve("jose")));

const server = createServer({ cert: read("server.pem"), key: read("server.key") });
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const origin = `https://localhost:${server.address().port}`;

const certificate = new X509Certificate(read("app.pem"));
const thumbprint = (hash) => createHash(hash).update(certificate.raw).digest("base64url");
const key = createPrivateKey(read("provider.key"));
const signing = { ...key.export({ format: "jwk" }), use: "sig" };

// Both have the same clients; an application signs in one way with Entra ID and in another with AD FS.
const mounts = {
  [TENANT]: {
    issuer: `${origin}/${TENANT}/v2.0`,
    algorithm: "PS256",
    // Entra ID finds the certificate by its SHA-256.
    header: { "x5t#S256": thumbprint("sha256") },
    routes: { authorization: "/oauth2/v2.0/authorize", token: "/oauth2/v2.0/token", jwks: "/discovery/v2.0/keys" },
  },
  adfs: {
    issuer: `${origin}/adfs`,
    algorithm: "RS256",
    // AD FS, by its SHA-1.
    header: { x5t: thumbprint("sha1") },
    routes: { authorization: "/oauth2/authorize", token: "/oauth2/token", jwks: "/discovery/keys" },
  },
};
for (const mount of Object.values(mounts)) {
  mount.provider = provider(mount);
  mount.callback = mount.provider.callback();
}

function provider({ issuer, algorithm, header, routes }) {
  const mounted = new URL(issuer).pathname.split("/")[1];
  const client = (client_id, method, more) => ({
    client_id,
    token_endpoint_auth_method: method,
    grant_types: ["client_credentials", ON_BEHALF_OF, "refresh_token"],
    response_types: [],
    redirect_uris: [],
    ...more,
  });
  const signed = (key) => ({
    token_endpoint_auth_signing_alg: algorithm,
    jwks: { keys: [{ ...key.export({ format: "jwk" }), use: "sig" }] },
  });
  const signsPeopleIn = (grant_types, redirect_uri) => ({
    grant_types: [...grant_types, "authorization_code", "refresh_token"],
    response_types: ["code"],
    redirect_uris: [redirect_uri],
  });
  const made = new Provider(issuer, {
    ...settings,
    clients: [
      client(SECRET_CLIENT, "client_secret_post", {
        client_secret: SECRET,
        ...signsPeopleIn(["client_credentials", ON_BEHALF_OF], "https://app.example/signed-in"),
      }),
      client(CERTIFICATE_CLIENT, "private_key_jwt", signed(certificate.publicKey)),
      client(ASSERTION_CLIENT, "private_key_jwt", signed(createPublicKey(read("assertions.pem")))),
      // A program on somebody's machine, which listens at any port.
      client(PUBLIC_CLIENT, "none", {
        application_type: "native",
        ...signsPeopleIn(["password"], "http://localhost/signed-in"),
      }),
    ],
    jwks: { keys: [{ ...signing, alg: "RS256" }] },
    cookies: { keys: ["of no use to anybody"] },
    enabledJWA: { clientAuthSigningAlgValues: ["PS256", "RS256"] },
    routes,
    clockTolerance: 5,
    ttl: { AccessToken: 3599, ClientCredentials: 3599 },
    interactions: { url: (ctx, { uid }) => `/${mounted}/interaction/${uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      // OAuth has a parameter for what Entra ID reads out of the scope.
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx) => resourceOf(ctx.oidc.params.scope),
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, audience) => resourceServer(audience),
      },
    },
    // Called when the signature is good: what a service would look at besides.
    assertJwtClientAuthClaimsAndHeader(ctx, claims, found, { clientId }) {
      ctx.state.assertion = { alg: found.alg, jti: claims.jti, lives: claims.exp - Math.floor(Date.now() / 1000) };
      if (clientId !== CERTIFICATE_CLIENT) {
        return;
      }
      for (const [name, value] of Object.entries(header)) {
        if (found[name] !== value) {
          throw new Error(`${name} is ${found[name]}, not ${value}`);
        }
      }
      ctx.state.assertion.certificates = found.x5c?.length ?? 0;
    },
  });
  const tell = (ctx, outcome) => {
    const { client_id, scope, grant_type, refresh_token } = ctx.oidc?.params ?? {};
    say({ path: ctx.originalUrl, client_id, scope, grant_type, refresh_token, ...ctx.state.assertion, ...outcome });
  };
  made.on("grant.success", (ctx) => tell(ctx, { outcome: "token" }));
  made.on("grant.error", (ctx, error) => tell(ctx, { outcome: error.error, detail: error.error_detail ?? error.message }));
  made.on("server_error", (ctx, error) => tell(ctx, { outcome: "broken", detail: String(error) }));
  addGrants(made, { errors, jwtVerify, key: createPublicKey(key), resourceOf, resourceServer });
  return made;
}

function resourceServer(audience) {
  return { scope: `${audience}/.default`, audience, accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } };
}

function resourceOf(scope = "") {
  const found = scope.split(" ").filter((one) => one.endsWith("/.default"));
  return found.length === 1 ? found[0].slice(0, -"/.default".length) : undefined;
}

server.on("request", (request, response) => {
  const [, tenant] = request.url.split("/");
  if (request.method === "GET" && request.url.startsWith("/common/userrealm/")) {
    say(realm(request, response));
    return;
  }
  const mount = mounts[tenant];
  if (mount === undefined) {
    response.writeHead(404).end();
    return;
  }
  // As express mounts an application: the package makes its URLs of the difference.
  request.originalUrl = request.url;
  request.url = request.url.slice(tenant.length + 1);
  if (request.url.startsWith("/interaction/")) {
    signIn(mount.provider, request, response).catch((error) => response.writeHead(400).end(String(error)));
    return;
  }
  mount.callback(request, response);
});

process.stdin.resume().on("end", () => process.exit(0));
say({ origin });
