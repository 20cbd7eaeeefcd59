/** The rig for tests with Kafka itself: brokers, the readers beside the uplink, the proxy. */

import assert from "node:assert/strict";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import avro, { type Schema } from "avsc";
import { type KafkaBroker, startKafka } from "../support/kafka/broker.ts";
import { readDecoded } from "../support/kafka/java-consumer.ts";
import { readCommitted, writeRecord } from "../support/kafka/kcat.ts";
import { freePorts } from "../support/ports.ts";
import { apiKeys, type KafkaProxy, openProxy, type Verdict } from "../support/kafka/proxy.ts";
import { requireKafka } from "../support/kafka/require-kafka.ts";

const schema: Schema = {
  type: "record",
  name: "Summary",
  fields: [
    { name: "mean", type: "double" },
    { name: "unit", type: ["null", "string"] },
  ],
};
/** Two bytes of it are not 0. */
const schemaId = 0x0102;

type Rig = AsyncDisposable & { readonly kafka: KafkaBroker; readonly proxy: KafkaProxy };

describe("the Kafka rig", () => {
  for (const version of ["3.9", "4"] as const) {
    it(`Kafka ${version}: what kcat writes, kcat and the Java consumer read`, async (t) => {
      if (!requireKafka(t, [version, "reader"])) return;
      await using kafka = await startKafka({ version });
      await kafka.createTopic("data");
      const of = { bootstrap: kafka.bootstrap, topic: "data" };
      await writeRecord(of, { key: "düse", value: '{"x":\n1.5}', headers: { a: "1", b: "2" } });
      await writeRecord(of, { value: confluentAvro({ mean: 20.25, unit: "°C" }) });

      const [read, ...others] = await readCommitted(of);
      assert.equal(others.length, 1);
      assert.equal(read?.key, "düse");
      assert.equal(read.value, '{"x":\n1.5}');
      assert.deepEqual(read.headers, { a: "1", b: "2" });

      using folder = mkdtempDisposableSync(join(tmpdir(), "weir-schema-"));
      const schemaFile = join(folder.path, "summary.avsc");
      writeFileSync(schemaFile, JSON.stringify(schema));
      const [json, binary] = await readDecoded({ ...of, schemas: { [schemaId]: schemaFile } });
      const { value: _, ...rest } = read;
      assert.deepEqual(json, { ...rest, encoding: "json", value: { x: 1.5 } });
      assert.equal(binary?.encoding, "avro");
      assert.deepEqual(binary.value, { mean: 20.25, unit: { string: "°C" } });
    });
  }

  it("a killed broker comes back with what was committed", async (t) => {
    if (!requireKafka(t, ["3.9"])) return;
    await using kafka = await startKafka({ version: "3.9" });
    await kafka.createTopic("data");
    const settings = { "transactional.id": "rig" };
    const of = { bootstrap: kafka.bootstrap, topic: "data", settings };
    await writeRecord(of, { value: "committed" });
    await kafka.kill();
    await kafka.restart();
    assert.deepEqual(await valuesOf(kafka), ["committed"]);
  });

  it("the proxy forwards, cuts before, cuts after, holds, and goes down", async (t) => {
    if (!requireKafka(t, ["3.9"])) return;
    await using rig = await openRig();
    const { kafka, proxy } = rig;
    await kafka.createTopic("data");

    await write(proxy, "passed");
    assert.deepEqual(await valuesOf(kafka), ["passed"]);
    assert(proxy.bytes.toBroker > 0 && proxy.bytes.toClient > 0);

    proxy.onRequest = judgeProduce("cut");
    await assert.rejects(write(proxy, "cut"));
    proxy.onRequest = judgeProduce("hold");
    await assert.rejects(write(proxy, "held"));
    assert.deepEqual(await valuesOf(kafka), ["passed"], "the broker never heard of the others");

    proxy.onRequest = () => "pass";
    proxy.onResponse = judgeProduce("cut");
    await assert.rejects(write(proxy, "answer cut"));
    proxy.onResponse = judgeProduce("cut-after");
    // kcat got its answer, and may still end with an error, since its only broker went.
    await Promise.allSettled([write(proxy, "cut after the answer")]);
    const written = ["passed", "answer cut", "cut after the answer"];
    assert.deepEqual(await valuesOf(kafka), written, "the broker acted, whatever the client heard");

    proxy.onResponse = () => "pass";
    await proxy.down();
    await assert.rejects(write(proxy, "down"));
    await proxy.up();
    await write(proxy, "up");
    assert.deepEqual(await valuesOf(kafka), [...written, "up"]);
  });
});

/** Magic byte, schema id, Avro. */
function confluentAvro(value: unknown): Uint8Array {
  const body = avro.Type.forSchema(schema).toBuffer(value);
  return Buffer.concat([Buffer.from([0, 0, 0, 1, 2]), body]);
}

async function openRig(): Promise<Rig> {
  const [port = 0] = await freePorts(1);
  const kafka = await startKafka({ version: "3.9", proxied: port });
  const proxy = await openProxy({ port, to: kafka.behindProxy });
  return {
    kafka,
    proxy,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await kafka[Symbol.asyncDispose]();
    },
  };
}

function judgeProduce(verdict: Verdict): (apiKey: number) => Verdict {
  return (apiKey) => (apiKey === apiKeys.Produce ? verdict : "pass");
}

/** Written once, without a second try; rejects when there is no answer in half a second. */
function write(proxy: KafkaProxy, value: string): Promise<void> {
  const settings = { "message.timeout.ms": "500", "message.send.max.retries": "0" };
  return writeRecord({ bootstrap: proxy.bootstrap, topic: "data", settings }, { value });
}

async function valuesOf(kafka: KafkaBroker): Promise<readonly (string | undefined)[]> {
  const records = await readCommitted({ bootstrap: kafka.bootstrap, topic: "data" });
  return records.map(({ value }) => value);
}
