/** What a person reads whose address, token or certificate is not right for the agent that he asks. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer as createTcp, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { agentAt } from "./agent-client.ts";

async function portOf(t: TestContext, server: Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function said(url: string, tokenFile?: string): Promise<string> {
  const ask = agentAt({ url, ca: undefined, certificate: undefined, tokenFile });
  return await ask("/v1/status").then(
    () => assert.fail("it answered"),
    (error: unknown) => (error as Error).message,
  );
}

test("a port of MQTT, one without TLS and one where nothing listens are told with what to write", async (t) => {
  // As a broker does with what is no CONNECT.
  const broker = await portOf(
    t,
    createTcp((socket) => void socket.once("data", () => socket.destroy())),
  );
  assert.equal(
    await said(`http://127.0.0.1:${broker}`),
    `no agent answers at http://127.0.0.1:${broker}: it closed the connection without an answer; if that stays so, is that the port of its HTTP, not of its MQTT? with TLS write https://127.0.0.1:${broker}`,
  );
  const plain = await portOf(t, createHttp());
  assert.equal(
    await said(`https://127.0.0.1:${plain}`),
    `no agent answers at https://127.0.0.1:${plain}: it speaks no TLS there; write http://127.0.0.1:${plain}`,
  );
  assert.match(
    await said("http://127.0.0.1:1"),
    /: nothing listens there; is it running\? \(-c or --url say where it is\)$/,
  );
});

test("a token that does not do is told with its file, and none with how to name one", async (t) => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-token-"));
  const file = join(folder.path, "token");
  writeFileSync(file, "weir_some\n");
  const port = await portOf(
    t,
    createHttp((_, response) => response.writeHead(403).end('{"message":"of a viewer"}')),
  );
  const url = `http://127.0.0.1:${port}`;
  const answers = `the agent at ${url} answers 403: of a viewer`;
  assert.equal(await said(url, file), `${answers} (--token-file ${file})`);
  assert.equal(await said(url), `${answers}; name the file of a token: --token-file`);
});

test("what answers and is no agent is told as that, whatever its status", async (t) => {
  for (const [status, what] of [
    [400, "is no agent that this weir knows"],
    [502, "is no agent that this weir knows"],
    [426, "wants a WebSocket: is that the port of its HTTP, not of its MQTT"],
  ] as const) {
    const port = await portOf(
      t,
      createHttp((_, response) => response.writeHead(status).end("<html>")),
    );
    const url = `http://127.0.0.1:${port}`;
    assert.ok((await said(url)).startsWith(`what answers at ${url} (${status}) ${what}`), what);
  }
});

test("an agent that is not well says why, where it may", async (t) => {
  for (const [body, why] of [
    ['{"state":"failed","reasons":["the disk fails"],"degraded":[]}', "the disk fails"],
    ['{"healthy":false}', "no reason is given"],
  ] as const) {
    const port = await portOf(
      t,
      createHttp((_, response) => response.writeHead(503).end(body)),
    );
    const url = `http://127.0.0.1:${port}`;
    assert.equal(await said(url), `the agent at ${url} answers 503: ${why}`);
  }
});
