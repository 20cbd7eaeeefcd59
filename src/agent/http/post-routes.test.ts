import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { sampleView } from "../../../test/support/agent-view.ts";
import { plantRig } from "../../../test/support/query-rig.ts";
import { limits } from "../../core/limits.ts";
import { systemClock } from "../doors/clock.ts";
import type { PostedBody } from "../ingest/post/posted-body.ts";
import type { PostOutcome } from "../ingest/post/posts.ts";
import { Bodies } from "./bodies.ts";
import { openHttp } from "./server.ts";
import { digestOfToken, type Role } from "./tokens.ts";
import { openWaitingHttp } from "./waiting.ts";

type Taken = PostedBody & { readonly key: string | undefined };

const counts = { messages: 1, decoded: 1, deadLettered: 0, unwanted: 0 };
const well: PostOutcome = { kind: "durable", answer: { ...counts, repeated: false } };

async function serve(
  t: TestContext,
  options: {
    readonly roles?: readonly Role[];
    readonly outcome?: (taken: Taken) => PostOutcome | Promise<PostOutcome>;
    readonly bytesMax?: number;
  } = {},
): Promise<{ readonly port: number; readonly taken: Taken[] }> {
  const { roles = [], outcome = () => well, bytesMax = limits.postBodiesBytesMax } = options;
  const taken: Taken[] = [];
  const server = await openHttp({
    view: sampleView(),
    queries: (await plantRig()).queries,
    host: "127.0.0.1",
    port: 0,
    tokens: roles.map((role) => ({ name: role, digest: digestOfToken(tokenOf(role)), role })),
    allowedHosts: [],
    clock: systemClock(),
    note: () => undefined,
    posting: {
      bodies: new Bodies({ postBodiesBytesMax: bytesMax }),
      posts: {
        take: async (body, key) => {
          taken.push({ ...body, key });
          return await outcome({ ...body, key });
        },
      },
    },
  });
  t.after(() => server.close());
  return { port: server.port, taken };
}

function tokenOf(role: Role): string {
  return `weir_${role}_0123456789012345678901234567`;
}

const json = { "Content-Type": "application/json", "X-Weir": "1" };

type Answer = {
  readonly code: number;
  readonly message: string;
  readonly retry: string | null;
  readonly body: string;
};

async function post(
  port: number,
  options: {
    readonly path?: string;
    readonly body?: string | Uint8Array<ArrayBuffer>;
    readonly headers?: Record<string, string>;
  } = {},
): Promise<Answer> {
  const { path = "/v1/readings", body = "{}", headers = json } = options;
  const url = `http://127.0.0.1:${port}${path}`;
  const response = await fetch(url, { method: "POST", body, headers });
  const text = await response.text();
  const message = String(JSON.parse(text).message);
  return { code: response.status, message, retry: response.headers.get("retry-after"), body: text };
}

test("a body comes to the desk as it was sent, with its type, topic and key", async (t) => {
  const { port, taken } = await serve(t);
  const bytes = Buffer.from([0xa1, 0x61, 0x61, 0xfb, 0, 0, 0, 0, 0, 0, 0, 0]);
  const headers = {
    "Content-Type": "Application/CBOR; x=1",
    "X-Weir": "1",
    "Idempotency-Key": "a~",
  };
  const answer = await post(port, { path: "/v1/readings?topic=plant%2Fp1", body: bytes, headers });
  assert.equal(answer.code, 200);
  assert.deepEqual(JSON.parse(answer.body), { ...counts, repeated: false });
  const [first] = taken;
  assert.deepEqual(
    { ...first, bytes: Buffer.from(first!.bytes).toString("hex") },
    {
      bytes: bytes.toString("hex"),
      type: "application/cbor",
      topic: "plant/p1",
      key: "a~",
    },
  );
});

test("what the request says of itself is refused before anything is taken", async (t) => {
  const { port, taken } = await serve(t);
  const cases: readonly (readonly [Parameters<typeof post>[1], number, RegExp])[] = [
    [{ headers: { "X-Weir": "1", "Content-Type": "text/csv" } }, 415, /application\/json/],
    [{ headers: { ...json, "Content-Encoding": "gzip" } }, 415, /not compressed/],
    [{ path: "/v1/readings?topci=a" }, 400, /"topci" is no parameter/],
    [{ path: "/v1/readings?topic=a&topic=b" }, 400, /one topic/],
    [{ path: "/v1/readings?topic=a/%23" }, 400, /none of \+, #/],
    [{ path: "/v1/readings?topic=" }, 400, /empty/],
    [{ headers: { ...json, "Idempotency-Key": "" } }, 400, /1 to 64 visible/],
    [{ headers: { ...json, "Idempotency-Key": "a b" } }, 400, /1 to 64 visible/],
    [{ headers: { ...json, "Idempotency-Key": "x".repeat(65) } }, 400, /1 to 64 visible/],
    [{ body: "x".repeat(limits.postBodyBytesMax + 1) }, 413, /at most 1048576 bytes/],
    [{ headers: { "Content-Type": "application/json" } }, 403, /X-Weir: 1/],
  ];
  for (const [sent, code, message] of cases) {
    const answer = await post(port, sent);
    assert.equal(answer.code, code, answer.body);
    assert.match(answer.message, message);
  }
  assert.deepEqual(taken, []);
  assert.equal((await post(port, { body: "x".repeat(limits.postBodyBytesMax) })).code, 200);
  const put = await fetch(`http://127.0.0.1:${port}/v1/readings`, { method: "PUT", headers: json });
  assert.deepEqual([put.status, put.headers.get("allow")], [405, "GET, HEAD, POST"]);
  assert.equal((await fetch(`http://127.0.0.1:${port}/v1/readings?select=x`)).status, 200);
});

test("every outcome has its code, and what may come again says when", async (t) => {
  const outcomes: readonly (readonly [PostOutcome, number, RegExp])[] = [
    [{ kind: "malformed", message: "byte 3: why" }, 400, /nothing was taken: byte 3: why$/],
    [{ kind: "tooLong" }, 413, /at most 8192 messages/],
    [{ kind: "unwanted", topic: "x" }, 422, /no source wants the topic "x".*add a source/],
    [{ kind: "otherBody" }, 422, /another body.*a new key/],
    [{ kind: "noRoom", taken: 0 }, 503, /nothing was taken; send it again/],
    [{ kind: "noRoom", taken: 7 }, 503, /not durable yet: 7 messages; .*goes on behind/],
    [{ kind: "ended" }, 503, /the agent ends/],
  ];
  const outcome = ({ key }: Taken): PostOutcome => outcomes[Number(key)]![0];
  const { port } = await serve(t, { outcome });
  for (const [index, [, code, message]] of outcomes.entries()) {
    const answer = await post(port, { headers: { ...json, "Idempotency-Key": String(index) } });
    assert.equal(answer.code, code);
    assert.match(answer.message, message);
    assert.equal(answer.retry, code === 503 ? String(limits.postRetrySeconds) : null);
  }
});

test("a plus sign in a query, which is a space there, is told of where no source wants the topic", async (t) => {
  const outcome = ({ topic = "x" }: Taken): PostOutcome => ({ kind: "unwanted", topic });
  const { port } = await serve(t, { outcome });
  const answer = await post(port, { path: "/v1/readings?topic=plant/a+b" });
  assert.match(answer.message, /the topic "plant\/a b".*A \+ in a query is a space: .* %2B/);
  assert.doesNotMatch((await post(port, { path: "/v1/readings?topic=plant/a" })).message, /%2B/);
});

/** A request with its head and some of its body sent, and what comes back. */
async function begin(port: number, head: string, part: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(
    `POST /v1/readings HTTP/1.1\r\nHost: localhost\r\nX-Weir: 1\r\nContent-Type: application/json\r\n${head}\r\n\r\n${part}`,
  );
  return socket;
}

test("a client that goes in the middle of its body takes nothing, and leaves its room", async (t) => {
  const { port, taken } = await serve(t, { bytesMax: 100 });
  const slow = await begin(port, "Content-Length: 90", '{"topic":');
  await untilAnswer(port, 503, "x".repeat(20));
  assert.match((await post(port, { body: "x".repeat(20) })).message, /too many bodies/);
  assert.equal((await post(port, { body: "x".repeat(10) })).code, 200);
  slow.destroy();
  await untilAnswer(port, 200, "x".repeat(20));
  assert.ok(taken.every(({ bytes }) => bytes[0] === 0x78));
});

/** A request that the server has not seen yet is waited for, by asking. */
async function untilAnswer(port: number, code: number, body: string): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    if ((await post(port, { body })).code === code) return;
  }
  assert.fail(`no answer ${code}`);
}

test("a body whose length nobody says is held to the same bound, and has its room while it lasts", async (t) => {
  const { port, taken } = await serve(t);
  const chunked = (bytes: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const sending = request({ port, path: "/v1/readings", method: "POST", headers: json });
      sending.on("response", (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sending.on("error", reject);
      for (let sent = 0; sent < bytes; sent += 65_536) {
        sending.write("x".repeat(Math.min(65_536, bytes - sent)));
      }
      sending.end();
    });
  assert.equal(await chunked(limits.postBodyBytesMax), 200);
  assert.equal(await chunked(limits.postBodyBytesMax + 1), 413);
  assert.equal(await chunked(5 * limits.postBodyBytesMax), 413);
  assert.deepEqual(
    taken.map(({ bytes }) => bytes.length),
    [limits.postBodyBytesMax],
  );
});

test("a publisher posts readings and may nothing else; a viewer may not", async (t) => {
  const { port, taken } = await serve(t, { roles: ["publisher", "viewer", "operator"] });
  const by = (role: Role): Record<string, string> => ({
    "Content-Type": "application/json",
    Authorization: `Bearer ${tokenOf(role)}`,
  });
  assert.equal((await post(port, { headers: by("publisher") })).code, 200);
  assert.equal((await post(port, { headers: by("operator") })).code, 200);
  const viewer = await post(port, { headers: by("viewer") });
  assert.equal(viewer.code, 403);
  assert.match(
    viewer.message,
    /the token viewer is of a viewer: this takes one of operator, admin, publisher/,
  );
  const nobody = { "Content-Type": "application/json" };
  assert.equal((await post(port, { headers: nobody })).code, 401);
  assert.equal(taken.length, 2);
  const get = async (path: string, method = "GET"): Promise<number> => {
    const url = `http://127.0.0.1:${port}${path}`;
    return (await fetch(url, { method, headers: by("publisher") })).status;
  };
  for (const path of ["/v1/status", "/metrics", "/v1/readings", "/v1/raw", "/readyz"]) {
    assert.equal(await get(path), 403, path);
  }
  for (const path of ["/v1/raw", "/v1/status", "/", "/healthz"]) {
    assert.equal(await get(path, "POST"), 403, path);
  }
  assert.deepEqual([await get("/"), await get("/healthz")], [200, 200]);
  assert.deepEqual([await get("/v1/reading"), await get("/v1/reading", "POST")], [404, 404]);
});

test("while the agent waits for its disk, it says when to come again", async (t) => {
  const server = await openWaitingHttp(
    { host: "127.0.0.1", port: 0 },
    {
      agent: "gw1",
      dataDirectory: "/data",
      reason: () => ({ name: "disk_failed", message: "the disk is away" }),
      clock: systemClock(),
    },
  );
  t.after(() => server.close());
  const answer = await post(server.port);
  assert.deepEqual([answer.code, answer.retry], [503, "5"]);
  assert.match(answer.message, /the disk is away/);
});
