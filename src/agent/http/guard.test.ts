import assert from "node:assert/strict";
import { get as getHttp, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { get as getHttps } from "node:https";
import { readFileSync } from "node:fs";
import { after, type TestContext, test } from "node:test";
import { sampleView } from "../../../test/support/agent-view.ts";
import { plantRig } from "../../../test/support/query-rig.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { removeTlsRig, tlsRigOf } from "../../../test/support/tls-rig.ts";
import { limits } from "../../core/limits.ts";
import type { GuardOptions } from "./guard.ts";
import { type HttpOptions, type HttpServer, openHttp } from "./server.ts";
import { digestOfToken, type TokenConfig, Tokens } from "./tokens.ts";

after(removeTlsRig);

const day = 86_400_000;
const secrets = {
  viewer: "weir_viewer_0123456789012345678901234567",
  operator: "weir_operator_01234567890123456789012345",
  old: "weir_old_01234567890123456789012345678901",
};

type Noted = Parameters<GuardOptions["note"]>[0];
type Served = {
  readonly server: HttpServer;
  readonly clock: SimulatedClock;
  readonly noted: Noted[];
};

async function serve(t: TestContext, change: Partial<HttpOptions> = {}): Promise<Served> {
  const clock = new SimulatedClock(100 * day);
  const noted: Noted[] = [];
  const tokens: readonly TokenConfig[] = [
    { name: "dash", digest: digestOfToken(secrets.viewer), role: "viewer" },
    { name: "ops", digest: digestOfToken(secrets.operator), role: "operator" },
    { name: "gone", digest: digestOfToken(secrets.old), role: "admin", expires: 101 * day },
  ];
  const server = await openHttp({
    view: sampleView(),
    queries: (await plantRig()).queries,
    host: "0.0.0.0",
    port: 0,
    tokens,
    allowedHosts: ["gateway.example"],
    clock,
    note: (event) => noted.push(event),
    ...change,
  });
  t.after(() => server.close());
  return { server, clock, noted };
}

type Answer = {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};

function ask(
  { server }: Served,
  path: string,
  options: {
    readonly token?: string;
    readonly authorization?: string;
    readonly host?: string;
    readonly method?: string;
    readonly from?: string;
    readonly ca?: Buffer;
  } = {},
): Promise<Answer> {
  const { token, host, method = "GET", from = "127.0.0.1", ca } = options;
  const authorization =
    options.authorization ?? (token === undefined ? undefined : `Bearer ${token}`);
  return new Promise((resolve, reject) => {
    const onAnswer = (response: IncomingMessage): void => {
      let body = "";
      response.setEncoding("utf8").on("data", (part: string) => (body += part));
      response.on("end", () =>
        resolve({ code: response.statusCode ?? 0, headers: response.headers, body }),
      );
    };
    const settings = {
      host: "127.0.0.1",
      port: server.port,
      path,
      method,
      localAddress: from,
      agent: false as const,
      headers: {
        ...(host === undefined ? {} : { Host: host }),
        ...(authorization === undefined ? {} : { Authorization: authorization }),
      },
    };
    const request =
      ca === undefined ? getHttp(settings, onAnswer) : getHttps({ ...settings, ca }, onAnswer);
    request.on("error", reject);
  });
}

const guarded = [
  "/readyz",
  "/metrics",
  "/v1/status",
  "/v1/series",
  "/v1/readings",
  "/v1/query?latest=1",
  "/v1/ledger",
  "/v1/alerts",
  "/v1/dead-letters",
];

test("everything needs a token, and a right one opens it", async (t) => {
  const served = await serve(t);
  for (const path of [...guarded, "/v2", "/healthz/", "//healthz"]) {
    const { code, headers, body } = await ask(served, path);
    assert.equal(code, 401, path);
    assert.equal(headers["www-authenticate"], 'Bearer realm="weir"');
    assert.doesNotMatch(body, /pumphouse|\/v1\/status/);
  }
  for (const path of guarded) {
    assert.equal((await ask(served, path, { token: secrets.viewer })).code, 200, path);
  }
  assert.equal(
    (await ask(served, "/v1/status", { method: "HEAD", token: secrets.viewer })).code,
    200,
  );
  assert.equal((await ask(served, "/v2", { token: secrets.viewer })).code, 404);
  assert.equal(served.server.counters().tokensMissing, guarded.length + 3);
  assert.deepEqual(served.noted, []);
});

test("without a token there is the page, which holds nothing, and whether it is well", async (t) => {
  const served = await serve(t, { view: sampleView({ reasons: ["the disk is full"] }) });
  const page = await ask(served, "/");
  assert.equal(page.code, 200);
  assert.doesNotMatch(page.body, /pumphouse/);
  const open = await ask(served, "/healthz");
  assert.deepEqual([open.code, JSON.parse(open.body)], [200, { healthy: true }]);
  const { body } = await ask(served, "/healthz", { token: secrets.viewer });
  assert.deepEqual(JSON.parse(body).reasons, ["the disk is full"]);
});

test("a token that is wrong, cut, or said otherwise opens nothing", async (t) => {
  const served = await serve(t);
  const right = secrets.viewer;
  const lines = [
    `Bearer ${right.slice(0, -1)}`,
    `Bearer ${right}x`,
    `Bearer ${right.toUpperCase()}`,
    `Basic ${right}`,
    right,
    "Bearer ",
    `Bearer ${digestOfToken(right)}`,
    `Bearer ${right} ${right}`,
  ];
  for (const authorization of lines) {
    const { code, headers } = await ask(served, "/v1/status", { authorization });
    assert.equal(code, 401, authorization);
    assert.match(headers["www-authenticate"] ?? "", /error="invalid_token"/);
  }
  assert.equal(served.server.counters().tokensWrong, lines.length);
  assert.deepEqual(served.noted[0], {
    kind: "token_failed",
    address: "127.0.0.1",
    user: undefined,
  });
  const { code } = await ask(served, "/v1/status", { authorization: `bearer  ${right}` });
  assert.equal(code, 200);
});

test("a token is good up to its end", async (t) => {
  const served = await serve(t);
  assert.equal((await ask(served, "/v1/status", { token: secrets.old })).code, 200);
  await served.clock.pass(day - 1);
  assert.equal((await ask(served, "/v1/status", { token: secrets.old })).code, 200);
  await served.clock.pass(1);
  const { code, body } = await ask(served, "/v1/status", { token: secrets.old });
  assert.equal(code, 401);
  assert.match(JSON.parse(body).message, /the token gone has expired/);
  assert.deepEqual(served.noted, [{ kind: "token_failed", address: "127.0.0.1", user: "gone" }]);
});

test("a viewer may not write; what nobody may do yet is refused as that", async (t) => {
  const served = await serve(t);
  for (const method of ["POST", "PUT", "DELETE"]) {
    const viewer = await ask(served, "/v1/status", { method, token: secrets.viewer });
    assert.equal(viewer.code, 403);
    assert.match(JSON.parse(viewer.body).message, /the token dash is of a viewer/);
    const operator = await ask(served, "/v1/status", { method, token: secrets.operator });
    assert.equal(operator.code, 405);
  }
  assert.equal(served.server.counters().rolesDenied, 3);
  assert.equal(served.noted[0]?.kind, "token_denied");
  // A slip in the path is no question of roles.
  const slip = { method: "POST", token: secrets.viewer };
  assert.equal((await ask(served, "/v1/reading", slip)).code, 404);
  assert.equal((await ask(served, "/v1/reading", { method: "POST" })).code, 401);
});

test("who tries many tokens is told to wait, and nobody else waits for it", async (t) => {
  const served = await serve(t);
  const token = "weir_guess";
  for (let i = 0; i < limits.loginFailuresMax; i++) {
    assert.equal((await ask(served, "/v1/status", { token })).code, 401);
  }
  const limited = await ask(served, "/v1/status", { token });
  assert.deepEqual([limited.code, limited.headers["retry-after"]], [429, "6"]);
  assert.equal((await ask(served, "/v1/status", { token, from: "127.0.0.2" })).code, 401);
  assert.equal((await ask(served, "/v1/status", { token: secrets.viewer })).code, 200);
  await served.clock.pass(limits.loginFailureMs);
  assert.equal((await ask(served, "/v1/status", { token })).code, 401);
});

test("a name is ours where it is allowed; an address is nobody else's", async (t) => {
  const served = await serve(t);
  const codes = async (hosts: readonly string[]): Promise<number[]> => {
    const all: number[] = [];
    for (const host of hosts) {
      all.push((await ask(served, "/v1/status", { host, token: secrets.viewer })).code);
    }
    return all;
  };
  const ours = [
    "10.0.0.5:8080",
    "[fe80::1]:8080",
    "localhost",
    "gateway.example:443",
    "GATEWAY.example",
  ];
  assert.deepEqual(await codes(ours), [200, 200, 200, 200, 200]);
  const others = [
    "evil.example",
    "10.0.0.5.evil.example",
    "gateway.example.evil",
    "1.2.3.4.5",
    "a",
  ];
  assert.deepEqual(await codes(others), [421, 421, 421, 421, 421]);
});

test("tokens travel by TLS, with a certificate that is watched", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  const { certificate: certificateFile, key: keyFile } = rig.server;
  const served = await serve(t, {
    tls: { certificateFile, keyFile, clientCertificate: "none" },
  });
  const ca = readFileSync(rig.authority.certificate);
  const { code } = await ask(served, "/v1/status", { token: secrets.viewer, ca });
  assert.equal(code, 200);
  await assert.rejects(ask(served, "/v1/status", { token: secrets.viewer }));
  assert.equal(served.server.certificates()[0]?.file, certificateFile);
});

test("every token is compared, whichever is right", (t) => {
  const digests = ["a", "b", "c"].map((token) => digestOfToken(token));
  const tokens = new Tokens(
    digests.map((digest, index) => ({ name: `t${index}`, digest, role: "viewer" })),
  );
  assert.equal(tokens.count, 3);
  for (const [index, token] of ["a", "b", "c"].entries()) {
    const bearer = tokens.bearer(`Bearer ${token}`, 0);
    assert.deepEqual(bearer, { kind: "right", name: `t${index}`, role: "viewer" });
  }
  t.diagnostic("by timingSafeEqual over digests of one length");
});
