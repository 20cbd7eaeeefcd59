/** Answers that no broker gives, over real sockets: each is a fault or a value, soon. */

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import {
  type Answers,
  answerOf,
  broker,
  peer,
} from "../../../../test/support/kafka/scripted-broker.ts";
import { below, seededRandom } from "../../../../test/support/seeded-random.ts";
import type { Random } from "../../../core/doors.ts";
import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { encodeRecordBatch, noCompression } from "../message/record-batch.ts";
import { Broker, type Exchange } from "./broker.ts";
import { connectCluster } from "./client.ts";
import { addPartitionsExchange, fetchExchange, produceExchange } from "./exchanges.ts";
import { readBatches } from "./fetched-batches.ts";
import { loadProtocol, type Writer } from "./protocol.ts";
import { type RequestName, requests } from "./requests.ts";
import { faultOf } from "../../../../test/support/fault-of.ts";

const patience = { clientId: "test", requestTimeoutMs: 2_000, connectTimeoutMs: 2_000 };

test("a size that no answer has ends the connection, however its bytes arrive", async (t) => {
  const sizes = [0, 1, 3, -1, -(2 ** 31), limits.kafkaAnswerBytesMax + 1, 2 ** 31 - 1];
  for (const size of sizes) {
    const bytes = Buffer.alloc(9);
    bytes.writeInt32BE(size);
    for (const send of [whole, oneByOne]) {
      const address = await peer(t, (socket) => socket.once("data", () => send(socket, bytes)));
      const fault = await faultOf(connectCluster({ ...patience, bootstrap: [address] }));
      const reason = `this is no Kafka broker (an answer of ${size} bytes): check the address and the port`;
      assert.equal(fault.message, `broker ${address}: ${reason}`);
    }
  }
});

test("a size that no answer has is found behind an answer, in one piece with it", async (t) => {
  const address = await broker(t, answerOf, (socket, frame) =>
    socket.write(Buffer.concat([frame, Buffer.from([0, 0, 0, 1, 0])])),
  );
  const fault = await faultOf(connectCluster({ ...patience, bootstrap: [address] }));
  assert.match(fault.message, /this is no Kafka broker \(an answer of 1 bytes\)/);
});

test("a record of TLS is known in any pieces", async (t) => {
  const alert = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28]);
  for (const send of [whole, oneByOne]) {
    const address = await peer(t, (socket) => socket.once("data", () => send(socket, alert)));
    const fault = await faultOf(connectCluster({ ...patience, bootstrap: [address] }));
    assert.match(fault.message, /wants TLS: set tls/);
  }
});

test("answers may come byte by byte", async (t) => {
  const address = await broker(t, answerOf, oneByOne);
  const cluster = await connectCluster({ ...patience, bootstrap: [address] });
  assert.equal(cluster.id, "c");
  assert.equal((await cluster.partitionsOf([])).size, 0);
  await cluster.close();
});

test("a count is not believed: it costs no more than the answer has bytes", async (t) => {
  const ask = await asking(t);
  const { Writer } = await loadProtocol();
  const head = (): Writer => Writer.create().appendInt32(0).appendInt16(0).appendInt32(0);
  const part = head()
    .appendInt32(1)
    .appendString("t", false)
    .appendInt32(1)
    .appendInt32(0)
    .appendInt16(0)
    .appendInt64(0n)
    .appendInt64(0n)
    .appendInt64(0n)
    .appendInt32(200_000_000); // aborted transactions
  const hostile = [
    head().appendInt32(200_000_000),
    head().appendInt32(-2),
    head()
      .appendInt32(1)
      .appendString("t", false)
      .appendInt32(2 ** 31 - 1),
    head().appendInt32(1).appendInt16(-2).appendInt32(0),
    part,
  ].map(({ buffer }) => Buffer.concat([buffer, Buffer.alloc(100)]));
  const heap = process.memoryUsage().rss;
  for (const body of hostile) {
    const fault = await faultOf(ask("Fetch", fetching, body));
    assert.equal(fault.code, "UPLINK_UNREACHABLE");
    assert.match(
      fault.message,
      /Fetch for t\/0: its answer cannot be read: a (count|length) in it/,
    );
  }
  const grownMiB = (process.memoryUsage().rss - heap) / 2 ** 20;
  assert.ok(grownMiB < 64, `${grownMiB} MiB`);
});

test("a length that leads back does not make the client read the same bytes again and again", async (t) => {
  // Metadata v9: throttle, 2^16 brokers. The first has id 0, no name, port 0, no rack, and one tag
  // that is -17 bytes long, which is where the broker begins.
  const head = [0, 0, 0, 0, 0x81, 0x80, 0x04];
  const brokerBack = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0xef, 0xff, 0xff, 0xff, 0x0f];
  const body = Buffer.from([...head, ...brokerBack, 0, 0, 0, 0, 0, 0, 0, 0]);
  const address = await broker(t, (request) =>
    request.key === requests.Metadata.key ? body : answerOf(request),
  );
  const fault = await faultOf(connectCluster({ ...patience, bootstrap: [address] }));
  assert.match(fault.message, /Metadata: its answer cannot be read: a length in it does not fit$/);
});

test("an answer that is damaged anywhere is a fault or a value", async (t) => {
  const ask = await asking(t);
  const protocol = await loadProtocol();
  const random = seededRandom(1);
  const seen = { value: 0, fault: 0 };
  for (const { request, exchange, body } of await exchanges()) {
    const good = await ask(request, exchange, body);
    assert.ok(good !== undefined, "what is not damaged is a value");
    for (const records of recordsIn(good)) assert.deepEqual(new Uint8Array(records), batch());
    for (let i = 0; i < 1_500; i++) {
      const damagedBody = damaged(body, random);
      const outcome = await ask(request, exchange, damagedBody)
        .then((answer) => {
          for (const records of recordsIn(answer)) {
            readBatches(records, { topic: "t", partition: 0, offset: 0, protocol });
          }
          return "value" as const;
        })
        .catch((error: unknown) => error);
      if (outcome !== "value") {
        const at = `${request} ${i}: ${damagedBody.toString("hex")}: ${String(outcome)}`;
        assert.ok(outcome instanceof Fault, at);
        assert.match(outcome.message, /cannot be read/, at);
      }
      seen[outcome === "value" ? "value" : "fault"]++;
    }
  }
  assert.ok(seen.value > 100 && seen.fault > 100, JSON.stringify(seen));
});

test("damaged answers of the first requests leave the process alone", async (t) => {
  const random = seededRandom(2);
  for (let i = 0; i < 300; i++) {
    const address = await broker(t, answerOf, (socket, frame) => {
      socket.write(damaged(frame, random));
      socket.end();
    });
    const outcome = await connectCluster({ ...patience, bootstrap: [address] }).then(
      async (cluster) => await cluster.close(),
      (error: unknown) => error,
    );
    assert.ok(outcome === undefined || outcome instanceof Fault, `${i}: ${String(outcome)}`);
  }
});

// ---- answers ----

const fetching = fetchExchange({ topic: "t", partition: 0 }, { offset: 0, bytesMax: 1 });

type Case = {
  readonly request: RequestName;
  readonly exchange: Exchange<unknown>;
  readonly body: Buffer;
};

/** Each request that we read ourselves, with a good answer. */
async function exchanges(): Promise<readonly Case[]> {
  const { Writer } = await loadProtocol();
  const at = { topic: "t", partition: 0 };
  const timeoutMs = 1_000;
  const of = { transactionalId: "x", producer: { id: 1n, epoch: 0 } };
  const oneTopic = (w: Writer): Writer => w.appendInt32(1).appendString("t", false).appendInt32(1);
  const produced = oneTopic(Writer.create())
    .appendInt32(0)
    .appendInt16(0)
    .appendInt64(7n)
    .appendInt64(-1n)
    .appendInt64(0n)
    .appendInt32(1)
    .appendInt32(0)
    .appendString("no", false)
    .appendString("none", false)
    .appendInt32(0);
  const added = oneTopic(Writer.create().appendInt32(0)).appendInt32(0).appendInt16(0);
  const fetched = oneTopic(Writer.create().appendInt32(0).appendInt16(0).appendInt32(0))
    .appendInt32(0)
    .appendInt16(0)
    .appendInt64(9n)
    .appendInt64(9n)
    .appendInt64(0n)
    .appendInt32(2)
    .appendInt64(1n)
    .appendInt64(2n)
    .appendInt64(3n)
    .appendInt64(4n)
    .appendInt32(-1)
    .appendBytes(Buffer.from(batch()), false);
  return [
    {
      request: "Produce",
      exchange: produceExchange([{ ...at, bytes: batch() }], { transactionalId: "x", timeoutMs }),
      body: produced.buffer,
    },
    {
      request: "AddPartitionsToTxn",
      exchange: addPartitionsExchange(of, [at]),
      body: added.buffer,
    },
    { request: "Fetch", exchange: fetching, body: fetched.buffer },
  ];
}

function batch(): Uint8Array {
  const bytes = new TextEncoder().encode("weir");
  return encodeRecordBatch([{ key: bytes, value: bytes, headers: [] }], {
    producer: { id: 1n, epoch: 0 },
    sequence: 0,
    isTransactional: true,
    timeMs: 0,
    compression: noCompression,
  });
}

/** The records of a Fetch answer's parts; of other answers none. */
function* recordsIn(answer: unknown): Generator<Uint8Array> {
  const parts: unknown = Object(answer).parts;
  for (const part of Array.isArray(parts) ? parts : []) {
    const { records } = part as { readonly records: unknown };
    if (records instanceof Uint8Array) yield records;
  }
}

const telling = [0, 1, 0x7f, 0x80, 0xfe, 0xff];

/** A copy with one to three bytes changed, or cut short, or with bytes put in. */
function damaged(bytes: Buffer, random: Random): Buffer {
  const changed = Buffer.from(bytes);
  for (let i = 0; i <= below(random, 3); i++) {
    const value = below(random, 2) === 0 ? telling[below(random, 6)]! : below(random, 256);
    changed[below(random, bytes.length)] = value;
  }
  const at = below(random, bytes.length);
  switch (below(random, 8)) {
    case 0:
      return changed.subarray(0, at);
    case 1:
      return Buffer.concat([changed.subarray(0, at), bytes.subarray(0, 9), changed.subarray(at)]);
    default:
      return changed;
  }
}

// ---- peers ----

/** Asks a broker that gives the answer it is told to. */
async function asking(
  t: TestContext,
): Promise<
  (request: RequestName, exchange: Exchange<unknown>, body: Uint8Array) => Promise<unknown>
> {
  let next: Uint8Array | undefined;
  const answers: Answers = (request) => next ?? answerOf(request);
  const address = await broker(t, answers);
  const options = { ...patience, bootstrap: [address] };
  const opened = new Broker(address, { protocol: await loadProtocol(), options });
  await opened.open();
  t.after(() => opened.close());
  return async (request, exchange, body) => {
    next = body;
    return await opened.exchange({ request, topic: "t", partition: 0 }, exchange);
  };
}

function whole(socket: Socket, bytes: Buffer): void {
  socket.write(bytes);
}

/** Each byte a segment of its own, as far as the systems between let it. */
function oneByOne(socket: Socket, bytes: Buffer): void {
  socket.setNoDelay(true);
  void (async () => {
    for (const byte of bytes) {
      socket.write(Buffer.of(byte));
      await turn();
    }
  })();
}
