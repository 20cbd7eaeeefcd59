import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Script } from "node:vm";
import { type TestContext, test } from "node:test";
import { sampleView } from "../../../test/support/agent-view.ts";
import { QueryRig } from "../../../test/support/query-rig.ts";
import { closeOf } from "../../../test/support/tls-rig.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { systemClock } from "../doors/clock.ts";
import type { AgentState, AgentView } from "../status.ts";
import { openHttp } from "./server.ts";

const local = {
  host: "127.0.0.1",
  port: 0,
  tokens: [],
  allowedHosts: [],
  clock: systemClock(),
  queries: new QueryRig().queries,
  note: () => assert.fail("nothing is refused that a person should see"),
};

async function serve(t: TestContext, view: AgentView = sampleView()): Promise<number> {
  const server = await openHttp({ ...local, view });
  t.after(() => server.close());
  return server.port;
}

type Answer = {
  readonly code: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
};

/** Sends the bytes as they are and reads until the server closes. */
function exchange(port: number, request: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(request));
    socket.setEncoding("utf8");
    socket.on("data", (part) => (text += part));
    socket.on("error", reject);
    socket.on("close", () => {
      const [head = "", ...body] = text.split("\r\n\r\n");
      const [status = "", ...lines] = head.split("\r\n");
      const headers = lines.map((line): [string, string] => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)];
      });
      resolve({
        code: Number(status.split(" ")[1]),
        headers: new Map(headers),
        body: body.join("\r\n\r\n"),
      });
    });
  });
}

function get(
  port: number,
  path: string,
  { method = "GET", host = "localhost:8080" } = {},
): Promise<Answer> {
  return exchange(port, `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
}

test("status, ledger, alerts, dead letters and metrics are what the agent says", async (t) => {
  const view = sampleView();
  const port = await serve(t, view);
  const json = async (path: string): Promise<unknown> => JSON.parse((await get(port, path)).body);
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
  assert.deepEqual(await json("/v1/status"), plain(view.status()));
  assert.deepEqual(
    await json("/v1/ledger"),
    plain({
      ...view.ledger(),
      brokers: [{ broker: "site", sessionsLost: 0, dropped: 0 }],
    }),
  );
  assert.deepEqual(await json("/v1/alerts"), { alerts: plain(view.recentAlerts()) });
  assert.deepEqual(await json("/v1/dead-letters?limit=1"), {
    deadLetters: plain(view.deadLetters({ limit: 1 })),
  });
  const [newest] = view.deadLetters({ limit: 1 });
  assert.deepEqual(await json(`/v1/dead-letters?before=${newest?.number}`), { deadLetters: [] });
  const metrics = await get(port, "/metrics");
  assert.equal(metrics.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.match(metrics.body, /^weir_log_readings_total 100$/m);
});

test("ready is only who runs, healthy is who has not failed", async (t) => {
  const expected: Record<AgentState, [healthy: number, ready: number]> = {
    running: [200, 200],
    degraded: [200, 503],
    stopping: [200, 503],
    failed: [503, 503],
  };
  for (const state of Object.keys(expected) as AgentState[]) {
    const port = await serve(
      t,
      sampleView({
        state,
        reasons: ["the disk is full"],
        degraded: [{ name: "disk_full", message: "the disk is full" }],
      }),
    );
    const [health, readiness] = [await get(port, "/healthz"), await get(port, "/readyz")];
    assert.deepEqual([health.code, readiness.code], expected[state]);
    assert.deepEqual(JSON.parse(readiness.body), {
      state,
      reasons: ["the disk is full"],
      degraded: ["disk_full"],
    });
  }
});

test("only GET and HEAD are answered, what is not there is so for every method, and HEAD has no body", async (t) => {
  const port = await serve(t);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const { code, headers, body } = await get(port, "/v1/status", { method });
    assert.deepEqual([code, headers.get("allow")], [405, "GET, HEAD"]);
    assert.equal(JSON.parse(body).error, "method_not_allowed");
  }
  for (const method of ["GET", "POST", "DELETE"]) {
    const { code, body } = await get(port, "/v1/reading", { method });
    assert.equal(code, 404, method);
    assert.match(JSON.parse(body).message, /^nothing is here; known are .* \/v1\/readings/);
  }
  const { code, headers, body } = await get(port, "/v1/status", { method: "HEAD" });
  assert.deepEqual([code, body], [200, ""]);
  assert.ok(Number(headers.get("content-length")) > 100);
});

test("a store that fails is an answer, and the next request is answered too", async (t) => {
  const message = "the state store could not be read: check the disk";
  const deadLetters = (): never => {
    throw new Fault("STORE_FAILED", message);
  };
  const port = await serve(t, { ...sampleView(), deadLetters });
  const { code, body } = await get(port, "/v1/dead-letters");
  assert.equal(code, 500);
  assert.deepEqual(JSON.parse(body), { error: "STORE_FAILED", message });
  assert.equal((await get(port, "/healthz")).code, 200);
});

test("an unknown path is a JSON error that names the known ones", async (t) => {
  const port = await serve(t);
  for (const path of ["/v2", "//", "/v1/status/", "/../etc/passwd", `/${"a".repeat(2_000)}`, "*"]) {
    const { code, body } = await get(port, path);
    assert.equal(code, 404);
    assert.match(JSON.parse(body).message, /\/v1\/status/);
  }
});

test("a limit that is no number in bounds is refused", async (t) => {
  const port = await serve(t);
  for (const limit of ["0", "-1", "x", "99999999", "1.5"]) {
    assert.equal((await get(port, `/v1/dead-letters?limit=${limit}`)).code, 400);
  }
  assert.equal((await get(port, "/v1/dead-letters?before=x")).code, 400);
});

test("a request by another name is refused, as DNS rebinding makes them", async (t) => {
  const port = await serve(t);
  for (const host of [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil",
    "[::2]",
    "10.0.0.1",
    "",
  ]) {
    assert.equal((await get(port, "/v1/status", { host })).code, 421, host);
  }
  for (const host of [
    "localhost",
    "LOCALHOST:1",
    "127.0.0.1:8080",
    "127.1.2.3",
    "[::1]:8080",
    "[::ffff:127.0.0.1]",
  ]) {
    assert.equal((await get(port, "/v1/status", { host })).code, 200, host);
  }
  assert.equal((await exchange(port, "GET /v1/status HTTP/1.0\r\n\r\n")).code, 421);
});

test("headers beyond their bound and what is no HTTP are refused without harm", async (t) => {
  const port = await serve(t);
  const long = `X: ${"a".repeat(limits.httpHeaderBytesMax)}`;
  assert.equal(
    (await exchange(port, `GET / HTTP/1.1\r\nHost: localhost\r\n${long}\r\n\r\n`)).code,
    431,
  );
  assert.equal((await exchange(port, "\x10\x0c\x00\x04MQTT\r\n\r\n")).code, 400);
  assert.equal((await get(port, "/healthz")).code, 200);
});

test("the page may run its own script and style and nothing else", async (t) => {
  const { body, headers } = await get(await serve(t), "/");
  const policy = headers.get("content-security-policy") ?? "";
  const hashOf = (text: string): string =>
    `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const script = /<script>([^]*)<\/script>/.exec(body)?.[1] ?? "";
  const style = /<style>([^]*)<\/style>/.exec(body)?.[1] ?? "";
  new Script(script); // it parses
  assert.ok(policy.startsWith("default-src 'none'; "));
  assert.ok(policy.includes(`script-src ${hashOf(script)};`));
  assert.ok(policy.includes(`style-src ${hashOf(style)};`));
  assert.doesNotMatch(body, /https?:|innerHTML|insertAdjacent|document\.write|\son[a-z]+=/);
});

test("every answer forbids caching, sniffing and framing", async (t) => {
  const port = await serve(t);
  for (const path of ["/", "/v1/status", "/metrics", "/nothing"]) {
    const { headers } = await get(port, path);
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.match(headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/);
  }
});

test("a port that is taken is a fault that says which and what to do", async (t) => {
  const port = await serve(t);
  await assert.rejects(openHttp({ ...local, view: sampleView(), port }), (error) => {
    assert.ok(error instanceof Fault);
    assert.equal(error.code, "PORT_IN_USE");
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}.*set another http\\.port`));
    return true;
  });
  await assert.rejects(openHttp({ ...local, view: sampleView(), host: "0.0.0.0" }), {
    code: "LISTENER_NOT_SECURED",
  });
  const tokens = [{ name: "a", digest: "0".repeat(64), role: "viewer" as const }];
  await assert.rejects(openHttp({ ...local, view: sampleView(), host: "192.0.2.1", tokens }), {
    code: "ADDRESS_UNAVAILABLE",
  });
});

test("one host that holds many connections leaves some to others", async (t) => {
  const port = await serve(t);
  const open = (localAddress: string): Socket => {
    const socket = connect({ port, host: "127.0.0.1", localAddress });
    socket.on("error", () => undefined);
    t.after(() => socket.destroy());
    return socket;
  };
  const greedy = Array.from({ length: limits.httpConnectionsMax }, () => open("127.0.0.2"));
  await Promise.all(greedy.map((socket) => once(socket, "connect")));
  assert.equal((await get(port, "/healthz")).code, 200);
  const beyond = greedy.slice(limits.httpConnectionsPerAddressMax);
  await Promise.all(beyond.map((socket) => closeOf(socket.resume())));
  greedy[0]?.destroy();
  let answer = "";
  while (answer === "") {
    const socket = open("127.0.0.2");
    socket.end("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    for await (const part of socket) answer += String(part);
  }
  assert.match(answer, /^HTTP\/1\.1 200/, "a place that is free again is taken again");
});

test("closing ends waiting connections at once", async () => {
  const server = await openHttp({ ...local, view: sampleView() });
  const idle = exchange(server.port, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const open = await get(server.port, "/healthz");
  assert.equal(open.code, 200);
  await server.close();
  assert.equal((await idle).code, 200);
});
