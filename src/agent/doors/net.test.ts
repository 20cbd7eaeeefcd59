import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, Server, type Socket } from "node:net";
import { after, describe, it, type TestContext } from "node:test";
import {
  type End,
  makeTlsRig,
  openPair,
  type Pair,
  startEnd,
  type TlsRig,
} from "../../../test/support/net-pair.ts";
import { requireTool } from "../../../test/support/require-tool.ts";
import type { Net } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { plainNet, systemNet } from "./net.ts";

let made: TlsRig | undefined;
after(() => made?.remove());

function tlsRig(): TlsRig {
  made ??= makeTlsRig();
  return made;
}

type Transport = {
  readonly name: string;
  readonly net: Net;
  readonly tls: boolean;
  readonly webSocket?: true;
};

const transports: readonly Transport[] = [
  { name: "TCP with a shared buffer", net: systemNet(), tls: false },
  { name: "TCP with data events", net: plainNet(), tls: false },
  { name: "TLS", net: systemNet(), tls: true },
  { name: "WebSocket", net: systemNet(), tls: false, webSocket: true },
  { name: "WebSocket by TLS", net: systemNet(), tls: true, webSocket: true },
];

async function pairOf(t: TestContext, transport: Transport): Promise<Pair | undefined> {
  const { net } = transport;
  const both = transport.webSocket === undefined ? {} : { webSocket: { path: "/mqtt" } };
  if (!transport.tls) return await openPair(net, { listen: both, connect: both });
  if (!requireTool(t, "openssl")) return undefined;
  const { authority, server } = tlsRig();
  const tls = {
    certificateFile: server.certificate,
    keyFile: server.key,
    clientCertificate: "none",
  } as const;
  return await openPair(net, {
    listen: { ...both, tls },
    connect: { ...both, tls: { caFile: authority.certificate } },
  });
}

for (const transport of transports) {
  for (const side of ["accepted", "opened"] as const) {
    describe(`a socket that was ${side}, over ${transport.name}`, () => {
      /** The end in question, and the one across. */
      const check = (claim: string, body: (own: End, far: End) => Promise<void>): void =>
        void it(claim, async (t) => {
          await using pair = await pairOf(t, transport);
          if (pair === undefined) return;
          const { accepted, opened } = pair;
          await (side === "accepted" ? body(accepted, opened) : body(opened, accepted));
        });

      check("carries bytes both ways and ends in order", async (own, far) => {
        far.socket.write(Buffer.from("hello"));
        await own.arrived(5);
        assert.equal(own.received(), "hello");
        own.socket.write(Buffer.from("good"));
        own.socket.write(Buffer.from("bye"));
        own.socket.end();
        assert.equal(await far.closed, "");
        assert.equal(far.received(), "goodbye");
        assert.equal(await own.closed, "");
      });

      check("reads nothing while paused, and everything after", async (own, far) => {
        far.socket.write(Buffer.from("x"));
        await own.arrived(1);
        own.socket.pause();
        const flood = Buffer.alloc(8 * 1024 * 1024, "y");
        // More than the kernel holds for both ends: the far one cannot get rid of it.
        far.socket.write(flood);
        for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
        assert.ok(own.receivedBytes() <= 1 + 2 * 64 * 1024);
        assert.ok(far.socket.queuedBytes > 0);
        assert.equal(far.drains(), 0);
        own.socket.resume();
        await own.arrived(flood.length + 1);
        while (far.socket.queuedBytes > 0) await new Promise((resolve) => setImmediate(resolve));
        assert.ok(far.drains() > 0);
      });

      check("gives what was queued before it ends", async (own, far) => {
        far.socket.pause();
        const flood = Buffer.alloc(8 * 1024 * 1024, "y");
        own.socket.write(flood);
        own.socket.end();
        for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
        far.socket.resume();
        assert.equal(await far.closed, "");
        assert.equal(far.receivedBytes(), flood.length);
      });

      check("is gone at once when it is destroyed, and says so once", async (own, far) => {
        own.socket.destroy();
        await Promise.all([own.closed, far.closed]);
        own.socket.write(Buffer.from("nobody hears this"));
        own.socket.end();
        own.socket.destroy();
        assert.equal(far.received(), "");
      });

      check("notices a peer that leaves", async (own, far) => {
        far.socket.write(Buffer.from("last"));
        far.socket.end();
        assert.equal(await own.closed, "");
        assert.equal(own.received(), "last");
      });

      check("names its peer", async (own) => {
        assert.match(own.socket.remote, /^127\.0\.0\.1:\d+$/);
        assert.equal(own.socket.certificateName, undefined);
      });
    });
  }
}

/** A client that is not ours, and the socket that was accepted. */
async function clientOf(
  net: Net,
): Promise<{ client: Socket; accepted: End; close: () => Promise<void> }> {
  const taken = Promise.withResolvers<End>();
  const listener = await net.listen({ host: "127.0.0.1", port: 0 }, (socket) => {
    taken.resolve(startEnd(socket));
  });
  const client = connect(listener.port, "127.0.0.1");
  await once(client, "connect");
  const accepted = await taken.promise;
  return {
    client,
    accepted,
    close: async () => {
      client.destroy();
      await listener.close();
    },
  };
}

for (const [name, net] of [
  ["a shared buffer", systemNet()],
  ["data events", plainNet()],
] as const) {
  it(`a socket with ${name} tells why it closed, once`, async () => {
    const { client, accepted, close } = await clientOf(net);
    client.resetAndDestroy();
    assert.equal(await accepted.closed, "ECONNRESET");
    await close();
  });

  it(`a socket with ${name} notices a client that leaves`, async () => {
    const { client, accepted, close } = await clientOf(net);
    client.end("last");
    assert.equal(await accepted.closed, "");
    assert.equal(accepted.received(), "last");
    await close();
  });
}

it("a peer that cannot be accepted is counted", async (t) => {
  const listening = t.mock.method(Server.prototype, "listen");
  const listener = await systemNet().listen({ host: "127.0.0.1", port: 0 }, () => undefined);
  t.after(() => listener.close());
  const server: unknown = listening.mock.calls[0]?.this;
  assert.ok(server instanceof Server);
  server.emit("error", new Error("accept EMFILE"));
  assert.equal(listener.acceptErrors, 1);
});

it("a port in use is a fault that says what to do", async () => {
  const net = systemNet();
  const first = await net.listen({ host: "127.0.0.1", port: 0 }, () => undefined);
  await assert.rejects(
    net.listen({ host: "127.0.0.1", port: first.port }, () => undefined),
    (error) =>
      error instanceof Fault && error.code === "PORT_IN_USE" && /choose/.test(error.message),
  );
  await first.close();
  const again = await net.listen({ host: "127.0.0.1", port: first.port }, () => undefined);
  await again.close();
});

it("an address of another machine is a fault", async () => {
  await assert.rejects(
    systemNet().listen({ host: "203.0.113.7", port: 0 }, () => undefined),
    (error) => error instanceof Fault && error.code === "ADDRESS_UNAVAILABLE",
  );
});

it("a connection is refused with the place where nobody listens", async () => {
  const listener = await systemNet().listen({ host: "127.0.0.1", port: 0 }, () => undefined);
  const { port } = listener;
  await listener.close();
  await assert.rejects(systemNet().connect({ host: "127.0.0.1", port }, { waitMs: 1_000 }), {
    code: "CONNECT_FAILED",
    message: `cannot connect to 127.0.0.1:${port}: ECONNREFUSED`,
  });
});
