#!/usr/bin/env node
// What a portal does with Lamplighter, through the AWS SDK that portals use: it writes rows, and reads the status
// from the state table and from the API. It knows the two tables' contract and nothing else of Lamplighter.
//
//   node portal.mjs AWS_URL API_URL [options]     one line per step; exit code 0 if every step held
//
// AWS_URL is where DynamoDB is served, API_URL the daemon's public address.

import assert from "node:assert/strict";
import http from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  UpdateCommand,
  paginateScan,
} from "@aws-sdk/lib-dynamodb";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "state-table": { type: "string", default: "lamplighter-state" },
    "desired-table": { type: "string", default: "lamplighter-desired" },
    app: { type: "string", default: "shop" }, // an entry of the catalogue
    region: { type: "string", default: "eu-central-1" },
    token: { type: "string" }, // a bearer token for the API, where it wants one
    "timeout-secs": { type: "string", default: "60" }, // for each thing that is waited for
  },
});
const [aws, api] = positionals;
if (!aws || !api) {
  console.error("usage: portal.mjs AWS_URL API_URL [--state-table NAME] [--desired-table NAME] [--app NAME] …");
  process.exit(2);
}

const tables = { state: options["state-table"], desired: options["desired-table"] };
const timeoutMs = Number(options["timeout-secs"]) * 1000;
const db = DynamoDBDocumentClient.from(
  new DynamoDBClient({
    endpoint: aws,
    region: options.region,
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    requestHandler: { connectionTimeout: 3_000, requestTimeout: 10_000, throwOnRequestTimeout: true },
  }),
  { marshallOptions: { removeUndefinedValues: true } },
);

// Names of this run's own, so that it can be repeated against the same daemon.
const run = Date.now().toString(36);
const user = `portal-${run}@example.com`;
const first = `first-${run}`;
const second = `second-${run}`;
const malformed = `malformed-${run}`;

class NotYet extends Error {}

/** Asks again until `look` returns; what it last complained of becomes the message when time is up. */
async function until(what, look) {
  const giveUp = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof NotYet)) throw error;
      if (Date.now() > giveUp) throw new Error(`${what}: not after ${timeoutMs / 1000} s; ${error.message}`);
      await sleep(150);
    }
  }
}

function notYetUnless(holds, message) {
  if (!holds) throw new NotYet(message);
}

/** The status as a portal reads it from the state table, or undefined. */
async function statusInTable(id) {
  const found = await db.send(
    new GetCommand({ TableName: tables.state, Key: { pk: `app#${id}` }, ConsistentRead: true }),
  );
  return found.Item?.status;
}

/** The answer of the API for one app. */
async function statusInApi(id) {
  const headers = options.token ? { authorization: `Bearer ${options.token}` } : {};
  const answer = await fetch(`${api}/api/v1/apps/${id}`, { headers, signal: AbortSignal.timeout(10_000) });
  if (answer.status === 404) return { found: false };
  const text = await answer.text();
  assert.equal(answer.status, 200, `GET /api/v1/apps/${id} answered ${answer.status}: ${text}`);
  return { found: true, status: JSON.parse(text).status };
}

function told(status) {
  if (!status) return "there is no status yet";
  const conditions = (status.conditions ?? []).map((c) => `${c.type}=${c.status} (${c.reason}: ${c.message})`);
  return `it is ${status.phase} (${status.reason}: ${status.message}); ${conditions.join("; ")}`;
}

function condition(status, type) {
  return status?.conditions?.find((one) => one.type === type);
}

function inPhase(id, phase, generation) {
  return until(`${id} ${phase}`, async () => {
    const status = await statusInTable(id);
    const seen = Number(status?.observedGeneration);
    notYetUnless(status?.phase === phase && seen >= generation, told(status));
    return status;
  });
}

/** GETs a URL. A name under `localhost` is this machine, whether or not it resolves. */
function visit(address) {
  const url = new URL(address);
  const here = url.hostname === "localhost" || url.hostname.endsWith(".localhost");
  const request = {
    host: here ? "127.0.0.1" : url.hostname,
    port: url.port,
    path: url.pathname + url.search,
    headers: { host: url.host },
    servername: url.hostname,
    timeout: 10_000,
  };
  const { get } = url.protocol === "https:" ? https : http;
  return new Promise((resolve, reject) => {
    const visited = get(request, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
    });
    visited.on("timeout", () => visited.destroy(new Error(`${address} did not answer within 10 s`)));
    visited.on("error", reject);
  });
}

function write(row) {
  return db.send(new PutCommand({ TableName: tables.desired, Item: row }));
}

function remove(id) {
  return db.send(new DeleteCommand({ TableName: tables.desired, Key: { id } }));
}

function row(id, more) {
  const asked = new Date().toISOString();
  return { id, user, app: options.app, desired: "Running", generation: 1, requestedAt: asked, ...more };
}

async function claimsOf(id) {
  const found = [];
  for await (const page of paginateScan({ client: db }, { TableName: tables.state, ConsistentRead: true })) {
    found.push(...page.Items.filter((item) => /^(slot|host|name)#/.test(item.pk) && item.app === id));
  }
  return found.map((item) => item.pk);
}

const steps = {
  async "a row that asks for Running becomes Ready, with a URL"() {
    await write(row(first));
    const status = await inPhase(first, "Ready", 1);
    assert.ok(status.url, `Ready without a URL: ${told(status)}`);
    assert.equal(condition(status, "Ready")?.status, "True", told(status));
    assert.equal(condition(status, "Accepted")?.status, "True", told(status));
    return status.url;
  },

  async "the API tells the same as the state table"() {
    const pick = ({ phase, url, observedGeneration, conditions }) => ({
      phase,
      url,
      observedGeneration: Number(observedGeneration),
      conditions: conditions.map(({ type, status, reason, message }) => ({ type, status, reason, message })),
    });
    await until("the same status in both", async () => {
      const [table, answer] = [await statusInTable(first), await statusInApi(first)];
      notYetUnless(answer.found, "the API does not know the app");
      try {
        assert.deepEqual(pick(answer.status), pick(table));
      } catch (difference) {
        // The two reads may lie on both sides of one change.
        throw new NotYet(difference.message);
      }
    });
  },

  async "the app answers at its URL"() {
    const { url } = await statusInTable(first);
    const code = await visit(url);
    assert.ok(code >= 200 && code < 400, `${url} answered ${code}`);
    return `${code}`;
  },

  async "its claims are held"() {
    const claims = await claimsOf(first);
    for (const kind of ["slot#", "host#", "name#"]) {
      assert.ok(claims.some((pk) => pk.startsWith(kind)), `no ${kind} item of ${first}: ${claims}`);
    }
  },

  async "a second app of the same user is refused, and told which one is in the way"() {
    await write(row(second));
    const status = await inPhase(second, "Refused", 1);
    const message = `${status.message} ${condition(status, "Accepted")?.message}`;
    assert.ok(message.includes(first), `the refusal does not name ${first}: ${told(status)}`);
    assert.equal(status.url, undefined, "a refused app has no URL");
    assert.deepEqual(await claimsOf(second), [], "a refused row holds nothing");
    await remove(second);
    return status.message;
  },

  async "a malformed row is refused with the name of the field"() {
    await write(row(malformed, { user: `other-${user}`, desired: "Runing", parameters: "small" }));
    const status = await until(`${malformed} not accepted`, async () => {
      const status = await statusInTable(malformed);
      notYetUnless(condition(status, "Accepted")?.status === "False", told(status));
      return status;
    });
    const { message } = condition(status, "Accepted");
    assert.match(message, /desired/, `the message does not name the field: ${message}`);
    await remove(malformed);
    return message;
  },

  async "asked to be Suspended, it is, and its URL is withdrawn"() {
    await db.send(
      new UpdateCommand({
        TableName: tables.desired,
        Key: { id: first },
        UpdateExpression: "SET #desired = :suspended, #generation = #generation + :one, #requestedAt = :now",
        ExpressionAttributeNames: { "#desired": "desired", "#generation": "generation", "#requestedAt": "requestedAt" },
        ExpressionAttributeValues: { ":suspended": "Suspended", ":one": 1, ":now": new Date().toISOString() },
      }),
    );
    const status = await inPhase(first, "Suspended", 2);
    assert.equal(status.url, undefined, "a suspended app has no URL");
    assert.equal(condition(status, "Ready")?.status, "False", told(status));
  },

  async "once its row is deleted it is destroyed"() {
    await remove(first);
    await until(`${first} gone`, async () => {
      const { found, status } = await statusInApi(first);
      notYetUnless(!found || status.phase === "Destroyed", told(status));
    });
  },

  async "and nothing of it is claimed any more"() {
    await until("no claim left", async () => {
      const claims = [...(await claimsOf(first)), ...(await claimsOf(second)), ...(await claimsOf(malformed))];
      notYetUnless(claims.length === 0, `still there: ${claims.join(", ")}`);
    });
  },
};

for (const [name, step] of Object.entries(steps)) {
  const began = Date.now();
  try {
    const found = await step();
    const took = ((Date.now() - began) / 1000).toFixed(1);
    console.log(`ok   ${name} (${took} s)${found ? `: ${found}` : ""}`);
  } catch (error) {
    console.log(`FAIL ${name}: ${error.message}`);
    process.exit(1);
  }
}
// Connections that are kept alive would keep the process up too.
process.exit(0);
