import assert from "node:assert/strict";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import {
  type AddressInfo,
  type Socket,
  createServer as createTcpServer,
  type Server as TcpServer,
} from "node:net";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { removeTlsRig, tlsRigOf } from "../../../test/support/tls-rig.ts";
import { Fault, type FaultCode } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Wire } from "../../core/doors.ts";
import type { HttpConnection } from "../../sync/http/http-connection.ts";
import { systemClock } from "./clock.ts";
import { type HttpConnectionOptions, type HttpTarget, systemHttp } from "./http-client.ts";

const secret = "hush-4711";

async function serve(
  listener: RequestListener,
): Promise<AsyncDisposable & { server: Server; port: number }> {
  const server = createServer(listener);
  return { server, ...(await listening(server)) };
}

async function listening(server: TcpServer): Promise<AsyncDisposable & { port: number }> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  return {
    port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

function open(
  port: number,
  changes: Partial<HttpTarget> & Partial<Omit<HttpConnectionOptions, "target">> = {},
): HttpConnection {
  const { connectMs = 2_000, answerMs = 2_000, wire = () => undefined, ...target } = changes;
  return systemHttp(systemClock()).open({
    connectMs,
    answerMs,
    wire,
    target: {
      shown: `http://127.0.0.1:${port}/in`,
      address: { host: "127.0.0.1", port },
      host: `127.0.0.1:${port}`,
      path: "/in?x=1",
      headers: { "x-key": secret },
      login: undefined,
      ...target,
    },
  });
}

const post = { headers: { "content-type": "text/plain" }, body: Buffer.from("records") };

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const part of request) body += String(part);
  return body;
}

async function refused(posting: Promise<unknown>, code: FaultCode, message: RegExp): Promise<void> {
  const failure = await posting.then(
    (answer) => answer,
    (error: unknown) => error,
  );
  assert.ok(failure instanceof Fault, JSON.stringify(failure));
  assert.match(failure.message, message);
  assert.equal(failure.code, code);
  assert.doesNotMatch(failure.message, new RegExp(secret));
}

describe("a connection to an HTTP endpoint", () => {
  after(removeTlsRig);

  test("posts on one connection, with headers, login and length, and reads the answer", async () => {
    const seen: [string, string, IncomingMessage["headers"]][] = [];
    const sockets = new Set<unknown>();
    await using site = await serve((request, response) => {
      sockets.add(request.socket);
      void bodyOf(request).then((body) => {
        seen.push([`${request.method} ${request.url}`, body, request.headers]);
        response.writeHead(202, { "Content-Type": "Application/JSON; charset=utf-8" });
        response.end('{"taken":\n 7}');
      });
    });
    const login = { kind: "basic", user: "gw", password: "pä:ss" } as const;
    const connection = open(site.port, { login });
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(await connection.post(post), {
        status: 202,
        contentType: "application/json",
        retryAfterMs: undefined,
        location: undefined,
        words: '{"taken": 7}',
      });
    }
    assert.equal(sockets.size, 1, "the connection is kept");
    assert.equal(seen.length, 3);
    assert.deepEqual(seen[2]?.slice(0, 2), ["POST /in?x=1", "records"]);
    assert.deepEqual(seen[2]?.[2], {
      host: `127.0.0.1:${site.port}`,
      "user-agent": "weir",
      accept: "*/*",
      "x-key": secret,
      authorization: `Basic ${Buffer.from("gw:pä:ss").toString("base64")}`,
      "content-type": "text/plain",
      "content-length": "7",
      connection: "keep-alive",
    });
    assert.ok(connection.traffic.sent > 600 && connection.traffic.received > 200);
    connection.close();
  });

  test("a token in a file is read at each POST", async () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), "weir-token-"));
    const file = join(folder.path, "token");
    const seen: (string | undefined)[] = [];
    await using site = await serve((request, response) => {
      seen.push(request.headers.authorization);
      request.resume();
      response.end();
    });
    const connection = open(site.port, { login: { kind: "bearerFile", file } });
    await refused(
      connection.post(post),
      "UPLINK_LOGIN_REFUSED",
      /the token .*token cannot be read \(ENOENT\)/,
    );
    writeFileSync(file, "first\n");
    await connection.post(post);
    writeFileSync(file, "second\n");
    await connection.post(post);
    writeFileSync(file, `${secret} and more`);
    await refused(connection.post(post), "UPLINK_LOGIN_REFUSED", /holds no token/);
    assert.deepEqual(seen, ["Bearer first", "Bearer second"]);
    connection.close();
  });

  test("what an endpoint says is cut, made one line, and without our secrets", async () => {
    let type = "text/plain";
    await using site = await serve((request, response) => {
      request.resume();
      response.writeHead(422, { "Content-Type": type, "Retry-After": "7" });
      response.end(`no\n${secret} and Bearer t-0-k ${"x".repeat(500)}`);
    });
    const connection = open(site.port, { login: { kind: "bearer", token: "t-0-k" } });
    const { words, retryAfterMs } = await connection.post(post);
    assert.equal(words, `no *** and Bearer *** ${"x".repeat(limits.postWordsMax - 22)}...`);
    assert.equal(retryAfterMs, 7_000);
    type = "text/html";
    assert.equal((await connection.post(post)).words, "");
    connection.close();
  });

  test("Retry-After may be a date; a redirection is told and not followed", async () => {
    let asked = 0;
    await using site = await serve((request, response) => {
      asked += 1;
      request.resume();
      response.writeHead(302, {
        "Retry-After": new Date(Date.now() + 60_000).toUTCString(),
        Location: `https://me:${secret}@portal.example/login?${secret}`,
      });
      response.end();
    });
    const connection = open(site.port);
    const { location, retryAfterMs = 0, status } = await connection.post(post);
    assert.deepEqual([status, location, asked], [302, "https://portal.example/login", 1]);
    assert.ok(retryAfterMs > 50_000 && retryAfterMs <= 60_000, String(retryAfterMs));
    connection.close();
  });

  test("an endless answer is not read, and a status before the end of the body counts", async () => {
    let sockets = 0;
    await using site = await serve((request, response) => {
      if (request.headers["content-length"] === "7") {
        response.writeHead(200, { "Content-Type": "text/plain" });
        response.on("drain", () => response.write("y".repeat(65_536)));
        response.write("y".repeat(65_536));
        return;
      }
      response.writeHead(413);
      response.end();
    });
    site.server.on("connection", () => (sockets += 1));
    const connection = open(site.port);
    const { status, words } = await connection.post(post);
    assert.deepEqual([status, words.length], [200, limits.postWordsMax + 3]);
    const large = { ...post, body: Buffer.alloc(8_000_000) };
    assert.equal((await connection.post(large)).status, 413);
    assert.equal(sockets, 2, "neither connection can be used again");
    connection.close();
  });

  test("a connection that the endpoint closed while it was idle is opened again at once", async () => {
    const bodies: string[] = [];
    await using site = await serve((request, response) => {
      void bodyOf(request).then((body) => {
        bodies.push(body);
        response.end();
        // Without a word, as a proxy that cleans up.
        response.once("finish", () => setImmediate(() => request.socket.resetAndDestroy()));
      });
    });
    const connection = open(site.port);
    for (let i = 0; i < 20; i++) await connection.post({ ...post, body: Buffer.from(String(i)) });
    assert.deepEqual(new Set(bodies).size, 20);
    connection.close();
  });

  const ends: readonly (readonly [string, (request: string) => string | undefined, RegExp])[] = [
    ["no answer at all", () => undefined, /no answer: it took and answered nothing within 300 ms/],
    ["half a head", () => "HTTP/1.1 200 O", /no answer: it took and answered nothing within/],
    [
      "half a body",
      () => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
      /no answer: it took and answered nothing within 300 ms|aborted|ECONNRESET/,
    ],
    ["something else", () => "SSH-2.0-OpenSSH_9\r\n", /it does not speak HTTP here/],
    [
      "another protocol",
      () => "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
      /answers in another protocol/,
    ],
    ["a head without end", () => `HTTP/1.1 200 OK\r\nA: ${"b".repeat(100_000)}`, /HTTP|HPE/],
  ];
  for (const [name, said, message] of ends) {
    test(`${name} is no answer, within the time for one`, async () => {
      const server = createTcpServer((socket) => {
        socket.on("error", () => undefined);
        socket.once("data", (bytes) => {
          const text = said(bytes.toString());
          if (text !== undefined) socket.write(text);
        });
      });
      await using site = await listening(server);
      const connection = open(site.port, { answerMs: 300 });
      await refused(connection.post(post), "UPLINK_UNREACHABLE", message);
      connection.close();
    });
  }

  for (const partial of ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"]) {
    test(`a cut after ${partial.length} bytes of the answer is no answer`, async () => {
      const server = createTcpServer((socket) => {
        socket.once("data", () => socket.end(partial));
      });
      await using site = await listening(server);
      const connection = open(site.port);
      await refused(connection.post(post), "UPLINK_UNREACHABLE", /no answer: /);
      connection.close();
    });
  }

  test("an endpoint that takes a body slowly is waited for as long as it goes on", async () => {
    const server = createTcpServer({ highWaterMark: 1_024 }, (socket) => {
      let left = 3_000_000;
      socket.on("error", () => undefined);
      socket.on("data", (bytes: Buffer) => {
        left -= bytes.length;
        if (left <= 0) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        socket.pause();
        setTimeout(() => socket.resume(), 1);
      });
    });
    await using site = await listening(server);
    const connection = open(site.port, { answerMs: 1_000 });
    assert.equal((await connection.post({ ...post, body: Buffer.alloc(3_000_000) })).status, 200);
    connection.close();
  });

  test("nobody there is told as such, and nothing was sent", async () => {
    const site = await serve(() => undefined);
    await site[Symbol.asyncDispose]();
    const connection = open(site.port);
    await refused(connection.post(post), "CONNECT_FAILED", /127\.0\.0\.1:\d+: ECONNREFUSED/);
    connection.close();
    await refused(connection.post(post), "UPLINK_UNREACHABLE", /it was closed/);
  });

  test("closing ends a POST that is under way", async () => {
    const { promise: came, resolve } = Promise.withResolvers<void>();
    await using site = await serve(() => resolve());
    const connection = open(site.port);
    const posting = connection.post(post);
    await came;
    connection.close();
    await refused(posting, "UPLINK_UNREACHABLE", /no answer/);
  });

  test("what is sent goes over the wire of the link, TLS and handshake included", async (t) => {
    const rig = tlsRigOf(t);
    if (rig === undefined) return;
    const { key, certificate } = rig.server;
    const server = createSecureServer(
      { key: readFileSync(key), cert: readFileSync(certificate) },
      (request, response) => {
        request.resume();
        response.end();
      },
    );
    await using site = await listening(server);
    const pieces: number[] = [];
    let received = 0;
    const wire: Wire = {
      localAddress: undefined,
      pieceBytesMax: 1_000,
      send: (bytes, go) => {
        pieces.push(bytes);
        go();
        return () => undefined;
      },
      received: (bytes) => {
        received += bytes;
      },
    };
    const address = {
      host: "127.0.0.1",
      port: site.port,
      tls: { caFile: rig.authority.certificate },
    };
    const connection = open(site.port, { address, wire: () => wire });
    assert.equal((await connection.post({ ...post, body: Buffer.alloc(20_000) })).status, 200);
    assert.ok(pieces.every((bytes) => bytes <= 1_000) && received > 500);
    const sent = pieces.reduce((sum, bytes) => sum + bytes, 0);
    assert.ok(sent > 20_000 && sent < 22_000, `${sent}`);
    connection.close();
  });

  test("a certificate of a stranger, or for another name, is refused before a byte of ours is sent", async (t) => {
    const rig = tlsRigOf(t);
    if (rig === undefined) return;
    let posts = 0;
    for (const [identity, tls, message] of [
      [
        rig.strange,
        { caFile: rig.authority.certificate },
        /an authority that is not known here: set tls\.ca/,
      ],
      [rig.server, {}, /an authority that is not known here/],
      [
        rig.server,
        { caFile: rig.authority.certificate, serverName: "other.example" },
        /is for .*: connect to a name/,
      ],
    ] as const) {
      const options = { key: readFileSync(identity.key), cert: readFileSync(identity.certificate) };
      const server = createSecureServer(options, (_request, response) => {
        posts += 1;
        response.end();
      });
      await using site = await listening(server);
      const address = { host: "127.0.0.1", port: site.port, tls };
      const connection = open(site.port, { address });
      await refused(connection.post(post), "CONNECT_FAILED", message);
      connection.close();
    }
    assert.equal(posts, 0);
  });

  test("a client certificate is shown where it is asked for, and its lack is told", async (t) => {
    const rig = tlsRigOf(t);
    if (rig === undefined) return;
    const server = createSecureServer(
      {
        key: readFileSync(rig.server.key),
        cert: readFileSync(rig.server.certificate),
        ca: readFileSync(rig.authority.certificate),
        requestCert: true,
        rejectUnauthorized: true,
      },
      (request, response) => {
        request.resume();
        response.end();
      },
    );
    await using site = await listening(server);
    const ca = { caFile: rig.authority.certificate };
    const own = { certificateFile: rig.client.certificate, keyFile: rig.client.key };
    const at = { host: "127.0.0.1", port: site.port };
    const shown = open(site.port, { address: { ...at, tls: { ...ca, ...own } } });
    assert.equal((await shown.post(post)).status, 200);
    shown.close();
    const without = open(site.port, { address: { ...at, tls: ca } });
    await refused(without.post(post), "UPLINK_UNREACHABLE", /it wants a client certificate/);
    without.close();
  });
});
