import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, Server, type Socket } from "node:net";
import { describe, it } from "node:test";
import type { Net, NetSocket } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { plainNet, systemNet } from "./net.ts";

type Accepted = {
  readonly socket: NetSocket;
  readonly received: () => string;
  readonly closed: Promise<string>;
  /** Resolves when so many bytes have arrived. */
  readonly arrived: (bytes: number) => Promise<void>;
};

/** One client and one accepted socket. */
async function pair(
  net: Net,
): Promise<{ client: Socket; accepted: Accepted; close: () => Promise<void> }> {
  const taken = Promise.withResolvers<Accepted>();
  const listener = await net.listen({ host: "127.0.0.1", port: 0 }, (socket) => {
    taken.resolve(acceptedOf(socket));
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

function acceptedOf(socket: NetSocket): Accepted {
  const chunks: Buffer[] = [];
  const closed = Promise.withResolvers<string>();
  let count = 0;
  let waiting: { readonly bytes: number; readonly resolve: () => void } | undefined;
  socket.start({
    onBytes: (bytes, length) => {
      chunks.push(Buffer.from(bytes.subarray(0, length)));
      count += length;
      if (waiting !== undefined && count >= waiting.bytes) waiting.resolve();
    },
    onDrain: () => undefined,
    onClose: (reason) => closed.resolve(reason),
  });
  return {
    socket,
    received: () => Buffer.concat(chunks).toString(),
    closed: closed.promise,
    arrived: (bytes) =>
      new Promise((resolve) => {
        if (count >= bytes) resolve();
        else waiting = { bytes, resolve };
      }),
  };
}

for (const [name, net] of [
  ["with a shared buffer", systemNet()],
  ["with data events", plainNet()],
] as const) {
  describe(`a socket ${name}`, () => {
    it("carries bytes both ways and ends in order", async () => {
      const { client, accepted, close } = await pair(net);
      client.write("hello");
      await accepted.arrived(5);
      assert.equal(accepted.received(), "hello");
      accepted.socket.write(Buffer.from("bye"));
      accepted.socket.end();
      const [bytes] = (await once(client, "data")) as [Buffer];
      assert.equal(bytes.toString(), "bye");
      assert.equal(await accepted.closed, "");
      await close();
    });

    it("reads nothing while paused, and everything after", async () => {
      const { client, accepted, close } = await pair(net);
      client.write("x");
      await accepted.arrived(1);
      accepted.socket.pause();
      const flood = Buffer.alloc(8 * 1024 * 1024, "y");
      // More than the kernel holds for both ends: the client cannot get rid of it.
      assert.equal(client.write(flood), false);
      for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
      assert.ok(accepted.received().length <= 1 + 2 * 64 * 1024);
      assert.ok(client.writableLength > 0);
      accepted.socket.resume();
      await accepted.arrived(flood.length + 1);
      await close();
    });

    it("tells why it closed, once", async () => {
      const { client, accepted, close } = await pair(net);
      client.resetAndDestroy();
      assert.equal(await accepted.closed, "ECONNRESET");
      await close();
    });

    it("notices a client that leaves", async () => {
      const { client, accepted, close } = await pair(net);
      client.end("last");
      assert.equal(await accepted.closed, "");
      assert.equal(accepted.received(), "last");
      await close();
    });
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

describe("a socket we open", () => {
  it("carries bytes both ways and ends in order", async () => {
    const net = systemNet();
    const taken = Promise.withResolvers<Accepted>();
    const listener = await net.listen({ host: "127.0.0.1", port: 0 }, (socket) => {
      taken.resolve(acceptedOf(socket));
    });
    const ours = acceptedOf(await net.connect(listener, { waitMs: 1_000 }));
    const theirs = await taken.promise;
    theirs.socket.write(Buffer.from("hello"));
    ours.socket.write(Buffer.from("bye"));
    await Promise.all([ours.arrived(5), theirs.arrived(3)]);
    assert.equal(ours.received(), "hello");
    assert.equal(theirs.received(), "bye");
    theirs.socket.end();
    assert.equal(await ours.closed, "");
    ours.socket.destroy();
    await listener.close();
  });

  it("is refused with the place where nobody listens", async () => {
    const listener = await systemNet().listen({ host: "127.0.0.1", port: 0 }, () => undefined);
    const { port } = listener;
    await listener.close();
    await assert.rejects(systemNet().connect({ host: "127.0.0.1", port }, { waitMs: 1_000 }), {
      code: "CONNECT_FAILED",
      message: `cannot connect to 127.0.0.1:${port}: ECONNREFUSED`,
    });
  });
});
