/**
 * The bridge's client over the real network door, to our own broker: plain, by TLS with a certificate of
 * its own, and by WebSocket.
 */

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { systemClock } from "../../src/agent/doors/clock.ts";
import { systemNet } from "../../src/agent/doors/net.ts";
import type { ConnectAddress, ListenAddress } from "../../src/core/doors.ts";
import type { Answer } from "../../src/sync/mqtt/bridge-link.ts";
import { connectMqtt } from "../../src/sync/mqtt/client/mqtt-js.ts";
import { openFrontServer } from "../support/front-server.ts";
import { connectOf, listenOf, removeTlsRig, tlsRigOf } from "../support/tls-rig.ts";
import { faultOf } from "../support/fault-of.ts";

after(removeTlsRig);

type Ways = {
  readonly listen: Partial<ListenAddress>;
  readonly connect: Partial<ConnectAddress>;
};

/** What is received of one alert that went this way. */
async function sentBy({ listen, connect }: Ways, level: 4 | 5): Promise<readonly string[]> {
  await using server = await openFrontServer({
    listen: { host: "127.0.0.1", port: 0, ...listen },
  });
  const { port } = server;
  const link = await connectMqtt(
    {
      url: `mqtt://127.0.0.1:${port}`,
      net: systemNet(),
      clock: systemClock(),
      address: { host: "127.0.0.1", port, ...connect },
      level,
      clientId: "bridge",
      user: undefined,
      password: undefined,
      keepAliveMs: 60_000,
      connectMs: 5_000,
    },
    { will: undefined, onEnded: () => undefined },
  );
  const message = {
    topic: "plant/x",
    payload: Buffer.from("{}"),
    retain: false,
    attributes: level === 5 ? { id: "o:alerts:0" } : undefined,
  };
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => new Promise<Answer>((done) => link.publish(message, done))),
  );
  assert.ok(answers.every(({ kind }) => kind === "taken"));
  await link.close();
  return server.receiver.payloads;
}

describe("the bridge's client", { timeout: 60_000 }, () => {
  for (const level of [4, 5] as const) {
    const name = level === 5 ? "MQTT 5" : "MQTT 3.1.1";
    test(`publishes with ${name}`, async () => {
      assert.equal((await sentBy({ listen: {}, connect: {} }, level)).length, 50);
    });

    test(`publishes with ${name} by TLS with its own certificate`, async (t) => {
      const rig = tlsRigOf(t);
      if (rig === undefined) return;
      const { authority, client } = rig;
      const tls = listenOf(rig, {
        clientCaFile: authority.certificate,
        clientCertificate: "required",
      });
      const ways = { listen: { tls }, connect: { tls: connectOf(rig, client) } };
      assert.equal((await sentBy(ways, level)).length, 50);
      const wrong = { listen: { tls }, connect: { tls: connectOf(rig, rig.strange) } };
      const fault = await faultOf(sentBy(wrong, level));
      assert.match(fault.code, /UPLINK_UNREACHABLE|CONNECT_FAILED/);
    });

    test(`publishes with ${name} by WebSocket`, async () => {
      const webSocket = { path: "/mqtt" };
      const ways = { listen: { webSocket }, connect: { webSocket } };
      assert.equal((await sentBy(ways, level)).length, 50);
    });
  }
});
