/** What a person reads who has written a wrong address, or whose network or certificate is not right. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { createServer as createTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { issue, makeAuthority } from "../../../test/support/certificates.ts";
import { requireTool } from "../../../test/support/require-tool.ts";
import { portOf } from "../../test/listening.ts";
import { AgentClient, urlOf } from "./agent-client.ts";
import { awayFor } from "./trouble.ts";

/** What is said of the agent at this address, which is always that it is away. */
async function reasonAt(address: string, tls: Record<string, unknown> = {}): Promise<string> {
  const client = new AgentClient({ url: urlOf(address), token: undefined, tls });
  const error = await client.json({ path: "/v1/status" }).then(
    () => assert.fail("it answered"),
    (reason: unknown) => reason as Error,
  );
  client.close();
  assert.equal(error.name, "AgentAway");
  const [, reason = ""] = error.message.split(`the agent at ${client.name} is away: `);
  return reason;
}

test("https to a port without TLS, and http to one with it, are told with the other address", async (t) => {
  const plain = await portOf(t, createHttp());
  assert.equal(
    await reasonAt(`https://127.0.0.1:${plain}`),
    `it speaks no TLS there; write http://127.0.0.1:${plain}`,
  );
  const secure = await portOf(t, createHttps());
  assert.equal(
    await reasonAt(`http://127.0.0.1:${secure}`),
    `it closed the connection without an answer; if that stays so, is that the port of its HTTP, not of its MQTT? with TLS write https://127.0.0.1:${secure}`,
  );
});

test("ports of other programs are told as what they may be", async (t) => {
  // As an MQTT broker does with what is no CONNECT.
  const broker = await portOf(
    t,
    createTcp((socket) => void socket.once("data", () => socket.destroy())),
  );
  const isIt =
    /closed the connection without an answer; .* is that the port of its HTTP, not of its MQTT\?/;
  assert.match(await reasonAt(`http://127.0.0.1:${broker}`), isIt);
  assert.match(await reasonAt(`https://127.0.0.1:${broker}`), isIt);
  const ssh = await portOf(
    t,
    createTcp((socket) => void socket.on("error", () => undefined).write("SSH-2.0-OpenSSH\r\n")),
  );
  assert.match(
    await reasonAt(`http://127.0.0.1:${ssh}`),
    /what it says is no HTTP; is that the port/,
  );
});

test("certificates that are not right are told with the remedy", async (t) => {
  if (!requireTool(t, "openssl")) return;
  const folder = mkdtempSync(join(tmpdir(), "weir-trouble-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const authority = makeAuthority(folder);
  const ca = readFileSync(authority.certificate);
  const portWith = async (
    name: string,
    validity: "valid" | "early" | "expired",
  ): Promise<number> => {
    const { key, certificate } = issue(authority, {
      name: `${name.replace(/\W/g, "")}-${validity}`,
      names: [name],
      validity,
    });
    return await portOf(
      t,
      createHttps({ key: readFileSync(key), cert: readFileSync(certificate) }),
    );
  };
  const mine = await portWith("IP:127.0.0.1", "valid");
  assert.match(
    await reasonAt(`https://127.0.0.1:${mine}`),
    /authority that is not trusted; choose a TLS/,
  );
  const expired = await portWith("IP:127.0.0.1", "expired");
  assert.match(
    await reasonAt(`https://127.0.0.1:${expired}`, { ca }),
    /certificate has expired; renew it/,
  );
  const early = await portWith("IP:127.0.0.1", "early");
  assert.match(await reasonAt(`https://127.0.0.1:${early}`, { ca }), /not valid yet; is the clock/);
  const other = await portWith("DNS:gw.example", "valid");
  assert.equal(
    await reasonAt(`https://127.0.0.1:${other}`, { ca }),
    "its certificate is for DNS:gw.example, not for 127.0.0.1; write the address with a name that it has",
  );
  const { key, certificate } = issue(authority, { name: "asks", names: ["IP:127.0.0.1"] });
  const asks = await portOf(
    t,
    createHttps({
      key: readFileSync(key),
      cert: readFileSync(certificate),
      ca,
      requestCert: true,
      rejectUnauthorized: true,
    }),
  );
  assert.match(
    await reasonAt(`https://127.0.0.1:${asks}`, { ca }),
    /TLS failed \(ERR_SSL_\w+\); does it want a certificate\? choose a TLS configuration with one/,
  );
});

test("networks that are not there are told in words, and what nobody foresaw in its own", () => {
  const url = urlOf("https://gw.example:8443");
  for (const [code, said] of [
    ["ECONNREFUSED", "nothing listens there; is it running?"],
    ["ENOTFOUND", "there is no host of that name"],
    ["EAI_AGAIN", "no name server answers; is there a network?"],
    ["EHOSTUNREACH", "there is no way to that host"],
    ["ENETUNREACH", "there is no way to that network; is there a link?"],
    [
      "ETIMEDOUT",
      "that host does not answer; is it on, and does a firewall let this port through?",
    ],
    ["EPIPE", "write EPIPE"],
  ] as const) {
    const cause = Object.assign(new Error(`write ${code}`), { code });
    assert.equal(
      awayFor(url, { cause, isCut: false }).message,
      `the agent at gw.example:8443 is away: ${said}`,
    );
  }
});
