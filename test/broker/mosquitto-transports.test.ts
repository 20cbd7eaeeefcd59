/** Every way to reach a broker elsewhere, tried on a real one: a message of our own goes there and back. */

import assert from "node:assert/strict";
import { after, type TestContext, test } from "node:test";
import { systemClock } from "../../src/agent/doors/clock.ts";
import { systemNet } from "../../src/agent/doors/net.ts";
import { systemRandom } from "../../src/agent/doors/random.ts";
import {
  openSubscriber,
  type Subscriber,
} from "../../src/agent/ingest/mqtt/subscriber/subscriber.ts";
import type { ConnectAddress, TlsConnect } from "../../src/core/doors.ts";
import { RecordingReceiver } from "../support/front-rig.ts";
import { freePorts } from "../support/ports.ts";
import { startMosquitto } from "../support/mosquitto/server.ts";
import { until } from "../support/mosquitto/site.ts";
import { requireTool } from "../support/require-tool.ts";
import { brokerConfig, templates } from "../support/subscriber-rig.ts";
import { removeTlsRig, type StrangeRig, tlsRigOf } from "../support/tls-rig.ts";

after(removeTlsRig);

type Ports = { readonly tls: number; readonly web: number; readonly webTls: number };

type Open = {
  readonly subscriber: Subscriber;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

function open(connect: ConnectAddress, level: 4 | 5 = 5): Open {
  const url = `${connect.host}:${connect.port}`;
  const subscriber = openSubscriber({
    net: systemNet(),
    clock: systemClock(),
    random: systemRandom(),
    config: brokerConfig({
      level,
      clientId: `weir-${level}-${connect.port}`,
      addresses: [{ url, connect }],
      canary: { topic: `weir/test/canary/${connect.port}`, everyMs: 1_000 },
      answerMs: 5_000,
    }),
    templates,
    isKnown: false,
    receiver: new RecordingReceiver(),
    hurry: () => {},
  });
  return { subscriber, [Symbol.asyncDispose]: () => subscriber.close() };
}

/** A Mosquitto with every kind of listener; those with TLS want a certificate of the rig's authority. */
async function mosquittoOf(rig: StrangeRig) {
  const [tls = 0, web = 0, webTls = 0] = await freePorts(3);
  const secure = [
    `cafile ${rig.authority.certificate}`,
    `certfile ${rig.server.certificate}`,
    `keyfile ${rig.server.key}`,
    "require_certificate true",
  ];
  const mosquitto = await startMosquitto({
    isPersistent: false,
    more: [
      `listener ${tls} 127.0.0.1`,
      ...secure,
      `listener ${web} 127.0.0.1`,
      "protocol websockets",
      `listener ${webTls} 127.0.0.1`,
      "protocol websockets",
      ...secure,
    ],
  });
  return { mosquitto, ports: { tls, web, webTls } satisfies Ports };
}

function rigFor(t: TestContext): StrangeRig | undefined {
  return requireTool(t, "mosquitto") ? tlsRigOf(t) : undefined;
}

test("by TCP, TLS with a client certificate, WebSocket, and both, in both versions", async (t) => {
  const rig = rigFor(t);
  if (rig === undefined) return;
  const { mosquitto, ports } = await mosquittoOf(rig);
  await using _ = mosquitto;
  const tls: TlsConnect = {
    caFile: rig.authority.certificate,
    certificateFile: rig.client.certificate,
    keyFile: rig.client.key,
  };
  const webSocket = { path: "/mqtt" };
  const host = "127.0.0.1";
  const ways: readonly ConnectAddress[] = [
    { host, port: mosquitto.port },
    { host, port: ports.tls, tls },
    { host, port: ports.web, webSocket },
    { host, port: ports.webTls, tls, webSocket },
  ];
  for (const way of ways) {
    for (const level of [4, 5] as const) {
      await using opened = open(way, level);
      const { subscriber } = opened;
      await until("a canary comes back", () => (subscriber.status.canary?.returned ?? 0) > 0);
      assert.equal(subscriber.state, "running");
    }
  }
});

test("who is not trusted on either side is told, with what to do", async (t) => {
  const rig = rigFor(t);
  if (rig === undefined) return;
  const { mosquitto, ports } = await mosquittoOf(rig);
  await using _ = mosquitto;
  const own = { certificateFile: rig.client.certificate, keyFile: rig.client.key };
  const caFile = rig.authority.certificate;
  for (const [tls, trouble] of [
    [{ caFile }, /it wants a client certificate: set tls\.certificate and tls\.key/],
    [
      { caFile, certificateFile: rig.strange.certificate, keyFile: rig.strange.key },
      /it refused our client certificate/,
    ],
    [{ ...own }, /an authority that is not known here: set tls\.ca/],
    [{ ...own, caFile, serverName: "another" }, /its certificate is for .*set tls\.serverName/],
    [{ ...own, caFile: "/nowhere/ca.pem" }, /\/nowhere\/ca\.pem/],
  ] as const satisfies readonly (readonly [TlsConnect, RegExp])[]) {
    await using opened = open({ host: "127.0.0.1", port: ports.tls, tls });
    const { subscriber } = opened;
    await until("it is told", () => trouble.test(subscriber.status.trouble?.message ?? ""));
    assert.equal(subscriber.status.counters.connected, 0);
  }
});
