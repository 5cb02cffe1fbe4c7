// People and the provider of oidc.mjs: they sign in at its authorize endpoint or by password, and services act for them.
//
// Codes, challenges, refresh tokens and their rotation are the package's own. What it leaves to whoever uses it is here.

export const ON_BEHALF_OF = "urn:ietf:params:oauth:grant-type:jwt-bearer";

const PEOPLE = [
  { sub: "sub-of-ada", name: "ada+lovelace@contoso.example", password: "pass word / of + ada & 100% é" },
  { sub: "sub-of-bob", name: "bob@contoso.example", password: "another password=of bob" },
];
const SCOPES = ["openid", "profile", "offline_access"];

const person = (sub) => PEOPLE.find((one) => one.sub === sub);
const whoKnows = (name, password) => PEOPLE.find((one) => one.name === name && one.password === password);

/** What the package is configured with for people. */
export const settings = {
  scopes: SCOPES,
  claims: { openid: ["sub"], profile: ["name"] },
  findAccount(ctx, sub) {
    const found = person(sub);
    return found && { accountId: sub, claims: () => ({ sub, name: found.name }) };
  },
  rotateRefreshToken: true,
};

/** What a client is allowed for one resource, whose scopes are called `{RESOURCE}/.default`. */
async function permit(provider, clientId, accountId, scope, resource) {
  const grant = new provider.Grant({ clientId, accountId });
  grant.addOIDCScope(scope.split(" ").filter((one) => SCOPES.includes(one)));
  grant.addResourceScope(resource, `${resource}/.default`);
  return grant.save();
}

/** The page where people sign in and consent, for those who fill in its form without looking. */
export async function signIn(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  let body = "";
  for await (const part of request) {
    body += part;
  }
  const form = new URLSearchParams(body);
  const found = whoKnows(form.get("name"), form.get("password"));
  if (request.method !== "POST" || found === undefined) {
    response.writeHead(401).end("wrong name or password");
    return;
  }
  const grantId = await permit(provider, params.client_id, found.sub, params.scope, params.resource);
  await provider.interactionFinished(request, response, { login: { accountId: found.sub }, consent: { grantId } });
}

/** Who checks the password of a person: the provider, if it knows the name. */
export function realm(request, response) {
  const { pathname } = new URL(request.url, "https://localhost");
  const name = decodeURIComponent(pathname.slice("/common/userrealm/".length));
  const known = PEOPLE.some((one) => one.name === name);
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ ver: "1.0", account_type: known ? "Managed" : "Unknown" }));
  return { path: "/common/userrealm", name, outcome: known ? "managed" : "unknown" };
}

/**
 * Adds the grants that Entra ID has and the package has not. `tools` are its `errors`; `jwtVerify` of the package by which it
 * checks signatures itself; the public `key` of its tokens; and what `oidc.mjs` knows of resources.
 */
export function addGrants(provider, { errors, jwtVerify, key, resourceOf, resourceServer }) {
  async function answer(ctx, accountId, gty) {
    const { client } = ctx.oidc;
    const { scope } = ctx.oidc.params;
    const resource = resourceOf(scope);
    if (resource === undefined) {
      throw new errors.InvalidTarget("expected one scope that ends in /.default");
    }
    const grantId = await permit(provider, client.clientId, accountId, scope, resource);
    const token = new provider.AccessToken({ client, accountId, grantId, gty, scope: `${resource}/.default` });
    token.resourceServer = new provider.ResourceServer(resource, resourceServer(resource));
    ctx.body = {
      access_token: await token.save(),
      expires_in: token.expiration,
      token_type: token.tokenType,
      scope: token.scope,
    };
    if (scope.split(" ").includes("offline_access")) {
      const refresh = new provider.RefreshToken({ client, accountId, grantId, gty, scope, resource, rotations: 0 });
      ctx.body.refresh_token = await refresh.save();
    }
  }

  async function password(ctx) {
    const found = whoKnows(ctx.oidc.params.username, ctx.oidc.params.password);
    if (found === undefined) {
      throw new errors.InvalidGrant("wrong name or password");
    }
    await answer(ctx, found.sub, "password");
  }

  async function onBehalfOf(ctx) {
    const { assertion, requested_token_use: use } = ctx.oidc.params;
    if (use !== "on_behalf_of") {
      throw new errors.InvalidRequest("requested_token_use must be on_behalf_of");
    }
    const expected = {
      algorithms: ["RS256"],
      typ: "at+jwt",
      issuer: provider.issuer,
      // Only the service that was called may act for the caller.
      audience: `api://${ctx.oidc.client.clientId}`,
      requiredClaims: ["exp", "iat", "sub", "client_id"],
    };
    const { payload } = await jwtVerify(assertion ?? "", key, expected).catch((error) => {
      throw new errors.InvalidGrant(error.message);
    });
    if (person(payload.sub) === undefined) {
      throw new errors.InvalidGrant("the assertion is nobody's");
    }
    await answer(ctx, payload.sub, "on_behalf_of");
  }

  provider.registerGrantType("password", password, ["username", "password", "scope"]);
  provider.registerGrantType(ON_BEHALF_OF, onBehalfOf, ["assertion", "requested_token_use", "scope"]);
}
