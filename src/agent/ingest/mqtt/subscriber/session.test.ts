import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { generate, type Packet } from "mqtt-packet";
import {
  brokerConfig,
  packetsOf,
  templates,
  wordsOf,
} from "../../../../../test/support/subscriber-rig.ts";
import { RecordingReceiver } from "../../../../../test/support/front-rig.ts";
import { limits } from "../../../../core/limits.ts";
import { createBrokerCounters } from "./broker-counters.ts";
import { DroppedHint } from "./dropped-hint.ts";
import { filtersOf } from "./filters.ts";
import { PendingAcks } from "./pending-acks.ts";
import { Session } from "./session.ts";
import type { SessionEnd } from "./session-end.ts";
import type { SessionHost } from "./session-host.ts";
import { SessionMemory } from "./session-memory.ts";
import { SendQuota } from "./send-quota.ts";

type Level = 4 | 5;

/** A session whose host writes down what it is asked for; no sockets, and time stands. */
class Recorder implements SessionHost {
  readonly config;
  readonly limits = limits;
  readonly receiver = new RecordingReceiver();
  readonly counters = createBrokerCounters();
  readonly memory: SessionMemory;
  readonly session: Session;
  readonly #written: Uint8Array[] = [];
  end: SessionEnd | undefined;
  isPaused = false;

  constructor(level: Level, memory?: SessionMemory) {
    this.config = brokerConfig({ level });
    this.memory =
      memory ??
      new SessionMemory({
        subscriptions: filtersOf(templates).map((filter) => ({ filter, qos: 1, retained: false })),
        acks: new PendingAcks({ countMax: limits.brokerInFlightMax }),
        quota: new SendQuota({ max: 1_000 }),
        canary: undefined,
        dropped: new DroppedHint(),
        hadSession: false,
      });
    this.session = new Session(this);
    this.session.begin();
  }

  get said(): readonly string[] {
    return wordsOf(packetsOf(Buffer.concat(this.#written), this.config.level));
  }

  monotonic(): number {
    return 0;
  }
  write(bytes: Uint8Array): void {
    this.#written.push(Buffer.from(bytes));
  }
  pause(isPaused: boolean): void {
    this.isPaused = isPaused;
  }
  hurry(): void {}
  connected(): void {}
  ended(end: SessionEnd): void {
    this.end = end;
    this.session.close();
  }

  /** One read from a buffer that is overwritten afterwards. */
  read(bytes: Uint8Array): void {
    const shared = Buffer.from(bytes);
    this.session.push(shared, shared.length);
    shared.fill(0xee);
  }

  commit(): void {
    this.memory.acks.seal();
    this.session.seal();
    const due = this.memory.inFlight;
    this.session.release(
      this.memory.acks.release((id, isAnswered) => this.memory.ids.settle(id, { isAnswered })),
      due,
    );
    this.session.resume();
  }
}

const levels = fc.constantFrom<Level>(4, 5);

const welcome: Packet = { cmd: "connack", returnCode: 0, reasonCode: 0, sessionPresent: false };

function bytesOf(packets: readonly Packet[], level: Level): Buffer {
  return Buffer.concat(packets.map((packet) => generate(packet, { protocolVersion: level })));
}

const message = fc.record({
  topic: fc.constantFrom("plant/p1", "plant/a/p1", "elsewhere", "$SYS/x"),
  payload: fc.string({ maxLength: 20 }),
  qos: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
  retain: fc.boolean(),
});

/** Cuts `bytes` at the fractions. */
function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = at.map((place) => Math.floor(place * (bytes.length + 1))).sort((a, b) => a - b);
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length));
}

test("what a broker sends means the same wherever the stream is cut, and however often is committed", () => {
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
  fc.assert(
    fc.property(
      levels,
      fc.array(message, { maxLength: 20 }),
      cuts,
      fc.array(fc.boolean()),
      (level, messages, places, commits) => {
        const packets = messages.map(
          (content, index): Packet => ({
            cmd: "publish",
            dup: false,
            ...content,
            ...(content.qos === 0 ? {} : { messageId: index + 1 }),
          }),
        );
        const stream = bytesOf([welcome, ...packets], level);
        const whole = new Recorder(level);
        whole.read(stream);
        whole.commit();
        const pieces = new Recorder(level);
        for (const [index, piece] of cut(stream, places).entries()) {
          pieces.read(piece);
          if (commits[index]) pieces.commit();
        }
        pieces.commit();
        assert.equal(pieces.end, undefined);
        assert.deepEqual(pieces.receiver.received, whole.receiver.received);
        assert.deepEqual(pieces.said, whole.said);
        const due = messages.flatMap(({ qos }, index) =>
          qos === 0 ? [] : [`${qos === 1 ? "puback" : "pubrec"} ${index + 1}`],
        );
        assert.deepEqual(
          whole.said.filter((word) => word.startsWith("pub")),
          due,
        );
      },
    ),
  );
});

test("a stream cut at every byte is the same stream", () => {
  const stream = bytesOf(
    [
      welcome,
      {
        cmd: "publish",
        topic: "plant/p1",
        payload: "1",
        qos: 1,
        messageId: 3,
        dup: false,
        retain: false,
      },
    ],
    5,
  );
  for (let at = 0; at <= stream.length; at++) {
    const recorder = new Recorder(5);
    recorder.read(stream.subarray(0, at));
    recorder.read(stream.subarray(at));
    recorder.commit();
    assert.deepEqual(recorder.receiver.payloads, ["1"]);
    assert.equal(recorder.said.at(-1), "puback 3");
  }
});

test("bytes that are anything never crash a session, and end it at most once", () => {
  fc.assert(
    fc.property(
      levels,
      fc.boolean(),
      fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }),
      (level, isWelcome, pieces) => {
        const recorder = new Recorder(level);
        if (isWelcome) recorder.read(bytesOf([welcome], level));
        for (const piece of pieces) recorder.read(piece);
        recorder.commit();
        assert.ok(recorder.end === undefined || recorder.session.state === "over");
      },
    ),
    { numRuns: 500 },
  );
});

test("a stream that was damaged anywhere is read up to there, or ends the connection", () => {
  const damage = fc.array(fc.tuple(fc.nat(2_000), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(
      levels,
      fc.array(message, { minLength: 1, maxLength: 12 }),
      damage,
      (level, messages, changes) => {
        const stream = bytesOf(
          messages.map(
            (content, index): Packet => ({
              cmd: "publish",
              dup: false,
              ...content,
              ...(content.qos === 0 ? {} : { messageId: index + 1 }),
            }),
          ),
          level,
        );
        for (const [at, byte] of changes) stream[at % stream.length] = byte;
        const recorder = new Recorder(level);
        recorder.read(bytesOf([welcome], level));
        recorder.read(stream);
        recorder.commit();
        const { received, retainedIgnored, unwanted, tooLarge } = recorder.counters;
        assert.equal(received, recorder.receiver.received.length);
        assert.ok(received + retainedIgnored + unwanted + tooLarge <= stream.length / 4);
        // Nothing is answered that was not sent: an id per message of QoS 1 and 2.
        assert.ok(recorder.memory.acks.count === 0 || recorder.end !== undefined);
      },
    ),
    { numRuns: 500 },
  );
});

test("a message that the batch has no room for waits with all behind it, and the socket when enough waits", () => {
  const recorder = new Recorder(4);
  recorder.read(bytesOf([welcome], 4));
  recorder.receiver.capacity = 1;
  const packets = Array.from(
    { length: 5 },
    (_, index): Packet => ({
      cmd: "publish",
      topic: "plant/p1",
      payload: Buffer.alloc(30_000, 48 + index),
      qos: 1,
      messageId: index + 1,
      dup: false,
      retain: false,
    }),
  );
  for (const packet of packets) recorder.read(bytesOf([packet], 4));
  assert.equal(recorder.receiver.received.length, 1);
  assert.equal(recorder.isPaused, true);
  assert.equal(recorder.counters.pauses, 1);
  recorder.receiver.capacity = 10;
  recorder.commit();
  assert.equal(recorder.isPaused, false);
  recorder.commit();
  assert.deepEqual(
    recorder.said.filter((word) => word.startsWith("puback")),
    [1, 2, 3, 4, 5].map((id) => `puback ${id}`),
  );
});

test("what needs no disk is answered at once, but never before what came earlier", () => {
  const recorder = new Recorder(4);
  recorder.read(bytesOf([welcome], 4));
  const publish = (topic: string, messageId: number): void => {
    const packet = {
      cmd: "publish",
      topic,
      payload: "1",
      qos: 1,
      dup: false,
      retain: false,
    } as const;
    recorder.read(bytesOf([{ ...packet, messageId }], 4));
  };
  publish("elsewhere", 1);
  assert.equal(recorder.said.at(-1), "puback 1");
  publish("plant/p1", 2);
  recorder.memory.acks.seal();
  publish("elsewhere", 3);
  assert.equal(recorder.said.at(-1), "puback 1");
  const due = recorder.memory.inFlight;
  recorder.session.release(
    recorder.memory.acks.release(() => {}),
    due,
  );
  // Nothing in the open batch needs a disk: nobody would seal it for the third.
  assert.deepEqual(recorder.said.slice(-2), ["puback 2", "puback 3"]);
});

for (const [name, packet] of [
  ["a CONNACK again", welcome],
  ["a packet that only clients send", { cmd: "pingreq" }],
  ["a SUBACK that nobody asked for", { cmd: "suback", messageId: 999, granted: [0] }],
] as const satisfies readonly (readonly [string, Packet])[]) {
  test(`${name} ends the connection`, () => {
    const recorder = new Recorder(5);
    recorder.read(bytesOf([welcome, packet], 5));
    assert.equal(recorder.end?.kind, "protocol");
  });
}
