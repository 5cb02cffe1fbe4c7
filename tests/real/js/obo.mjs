// Exchanges the tokens of many users with the official @azure/identity, unchanged, and tells what it took.
//
//     obo.mjs USERS AT-A-TIME
//
// The application and its authority come from AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and
// AZURE_AUTHORITY_HOST. Each user has a credential of their own, for that is the only form that the library has.

import { OnBehalfOfCredential } from "@azure/identity";

const [users, atATime] = process.argv.slice(2).map(Number);
const { AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_AUTHORITY_HOST } = process.env;

async function exchange(user) {
  const started = process.hrtime.bigint();
  const credential = new OnBehalfOfCredential({
    tenantId: AZURE_TENANT_ID,
    clientId: AZURE_CLIENT_ID,
    clientSecret: AZURE_CLIENT_SECRET,
    userAssertionToken: `${"eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9".repeat(33)}.${user}.signature`,
    authorityHost: AZURE_AUTHORITY_HOST,
    disableInstanceDiscovery: true,
  });
  const { token } = await credential.getToken("https://graph.microsoft.com/.default");
  return { token, wait: process.hrtime.bigint() - started };
}

const started = process.hrtime.bigint();
const done = [];
let next = 0;
await Promise.all(
  Array.from({ length: atATime }, async () => {
    while (next < users) done.push(await exchange(next++));
  }),
);
console.log("elapsed", String(process.hrtime.bigint() - started));
const waits = done.map(({ wait }) => wait).sort((a, b) => (a < b ? -1 : 1));
console.log("p50", String(waits[Math.floor(waits.length / 2)]));
console.log("p99", String(waits[Math.floor((waits.length * 99) / 100)]));
console.log("tokens", new Set(done.map(({ token }) => token)).size);
console.log("kib", process.resourceUsage().maxRSS);
