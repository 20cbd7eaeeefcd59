import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EndpointModel, type PostFate } from "../../../test/support/http/endpoint-model.ts";
import { openHttpHalf } from "../../../test/support/http/upstream.ts";
import { below, seededRandom } from "../../../test/support/seeded-random.ts";
import { eachSeed, reachesAll, seedCount } from "../../../test/support/seeds.ts";
import type { Committed, SimulatedHalf } from "../../../test/support/simulated-half.ts";
import { limits } from "../../core/limits.ts";
import {
  byOutputQueue,
  lanes,
  type OutputQueue,
  queueOf,
  outputQueues,
} from "../../store/outbox/lane.ts";
import type { HttpUplinkOptions } from "./http-uplink.ts";

async function rig(changes: Partial<HttpUplinkOptions> = {}) {
  const endpoint = new EndpointModel();
  const committed: Committed = byOutputQueue(() => []);
  const half = await openHttpHalf({ connect: endpoint.connect, committed, seed: 1, changes });
  return { endpoint, committed, half };
}

function statusOf(half: SimulatedHalf, lane: OutputQueue) {
  const [uplink] = half.drain.status;
  assert.ok(uplink !== undefined);
  return uplink.lanes[lane];
}

/** Many POSTs take many turns. */
async function passOften(half: SimulatedHalf, { times, ms }: { times: number; ms: number }) {
  for (let i = 0; i < times; i++) await half.clock.pass(ms);
}

/**
 * Each record at least once, first arrivals of a lane in order, one text for each id and one id for each
 * text: what is behind keeps its lane.
 */
function assertAllThere(endpoint: EndpointModel, committed: Committed): void {
  for (const queue of outputQueues) {
    const own = lanes.filter((lane) => queueOf(lane) === queue);
    const taken = own.flatMap((lane) => endpoint.taken[lane]);
    const first = own.flatMap((lane) => {
      const numbers = [...new Set(endpoint.taken[lane].map(({ id }) => numberOf(id)))];
      assert.deepEqual(numbers, ascending(numbers), `${lane} is in order`);
      return numbers;
    });
    assert.deepEqual(ascending(first), [...committed[queue].keys()], `every record of ${queue}`);
    const idOf = new Map(taken.map(({ id, text }) => [text, id]));
    for (const { id, text } of taken) {
      assert.equal(idOf.get(text), id, "no record has two ids");
      assert.equal(committed[queue][numberOf(id)], text, `${id} is its record`);
    }
  }
}

function numberOf(id: string): number {
  return Number(id.split(":")[2]);
}

function ascending(numbers: readonly number[]): readonly number[] {
  return numbers.toSorted((a, b) => a - b);
}

describe("an uplink to an HTTP endpoint", () => {
  test("posts each record once where nothing fails, and prunes the outbox", async () => {
    const { endpoint, committed, half } = await rig();
    await half.add("summaries", 700);
    await half.add("alerts", 3);
    await half.clock.pass(1);
    assertAllThere(endpoint, committed);
    for (const lane of outputQueues) {
      assert.equal(endpoint.taken[lane].length, committed[lane].length);
      assert.equal(half.store.status.outbox[lane].records, 0);
    }
    assert.equal(endpoint.connections, outputQueues.length, "each lane has its own connection");
    assert.ok(endpoint.posts.length < 10, "many records share a POST");
    await half.close();
  });

  test("a POST says what it carries: key, outbox, lane and number of the first", async () => {
    const { endpoint, half } = await rig({ format: "cloudevents", compress: "gzip" });
    await half.add("alerts", 2);
    await half.add("alerts", 1);
    await half.clock.pass(1);
    const last = endpoint.posts.at(-1);
    const { outbox } = statusOf(half, "alerts").facts;
    assert.match(String(outbox), /^[0-9a-f]{32}$/);
    assert.deepEqual(last?.headers, {
      "content-type": "application/cloudevents-batch+json; charset=utf-8",
      "content-encoding": "gzip",
      "idempotency-key": `${String(outbox)}:alerts:${last?.first}-3`,
      "weir-outbox": outbox,
      "weir-lane": "alerts",
      "weir-first": String(last?.first),
    });
    await half.close();
  });

  test("alerts do not wait for summaries whose POST is not answered", async () => {
    const { endpoint, half, committed } = await rig();
    endpoint.fate = ({ lane }) => (lane === "alerts" ? "take" : "hang");
    await half.add("summaries", 100);
    await half.clock.pass(1);
    await half.add("alerts", 2);
    await half.clock.pass(1);
    assert.deepEqual(
      endpoint.taken.alerts.map(({ text }) => text),
      committed.alerts,
    );
    assert.equal(half.store.status.outbox.summaries.records, 100);
    await half.close();
  });

  test("a POST that was lost comes again as the same range, though more records wait by then", async () => {
    const { endpoint, half, committed } = await rig();
    endpoint.fate = () => (endpoint.posts.length === 0 ? "lose" : "take");
    await half.add("summaries", 5);
    await half.clock.pass(1);
    await half.add("summaries", 7);
    await half.clock.pass(limits.uplinkRetryMsMin);
    const keys = endpoint.posts.map(({ key }) => key.split(":")[2]);
    assert.deepEqual(keys, ["0-5", "0-5", "5-12"]);
    assertAllThere(endpoint, committed);
    await half.close();
  });

  test("after a crash the POST that was under way comes again as the same range", async () => {
    const { endpoint, half, committed } = await rig();
    endpoint.fate = () => "hang";
    await half.add("summaries", 5);
    await half.clock.pass(1);
    await half.add("summaries", 7);
    const { image, clock } = half.kill();
    endpoint.fate = () => "take";
    const { connect } = endpoint;
    const next = await openHttpHalf({ connect, committed, seed: 2, image, clock });
    await clock.pass(1);
    const keys = endpoint.posts.map(({ key }) => key.split(":")[2]);
    assert.deepEqual(keys, ["0-5", "0-5", "5-12"]);
    assertAllThere(endpoint, committed);
    await next.close();
  });

  test("a range that is lost again and again is tried in smaller ones, and larger ones later", async () => {
    const { endpoint, half, committed } = await rig();
    endpoint.fate = ({ bytes }) => (bytes > 20_000 ? "cut" : "take");
    await half.add("summaries", 400);
    await half.clock.pass(20 * limits.uplinkRetryMsMax);
    assertAllThere(endpoint, committed);
    const small = Number(statusOf(half, "summaries").facts["postBytes"]);
    assert.ok(small <= 20_000, `${small}`);
    endpoint.fate = () => "take";
    for (let i = 0; i < 10 * limits.postGrowsAfter; i++) {
      await half.add("summaries", 1);
      await half.clock.pass(1);
    }
    assert.equal(statusOf(half, "summaries").facts["postBytes"], limits.postBatchBytes);
    await half.close();
  });

  test("what is too large is halved at once, and what was learned is kept", async () => {
    const { endpoint, half, committed } = await rig();
    endpoint.fate = ({ bytes }) => (bytes > 10_000 ? 413 : "take");
    await half.add("summaries", 300);
    await passOften(half, { times: 50, ms: 1 });
    assertAllThere(endpoint, committed);
    const { failures, incidents } = statusOf(half, "summaries");
    assert.deepEqual([failures, incidents.count], [0, 0]);
    const refused = endpoint.posts.filter(({ bytes }) => bytes > 10_000).length;
    assert.ok(refused < 8, `${refused} were too large`);
    await half.close();
  });

  for (const status of [400, 415, 422, 413]) {
    test(`a record that is refused by itself with ${status} is left out, and named`, async () => {
      const { endpoint, half, committed } = await rig();
      const bad = [40, 41, 170];
      const badTexts = (): ReadonlySet<string | undefined> =>
        new Set(bad.map((number) => committed.summaries[number]));
      endpoint.fate = ({ records }) =>
        records.some(({ text }) => badTexts().has(text))
          ? { status, words: "field sum: too odd" }
          : "take";
      await half.add("summaries", 256);
      await passOften(half, { times: 50, ms: 1 });
      const missing = committed.summaries.filter(
        (each) => !endpoint.taken.summaries.some(({ text }) => text === each),
      );
      assert.deepEqual(missing, [...badTexts()]);
      const { incidents, behind } = statusOf(half, "summaries");
      assert.deepEqual([incidents.count, behind], [3, 0]);
      assert.match(
        incidents.last?.what ?? "",
        new RegExp(
          `summaries 170 is left out: .*in\\.example.* ${status} \\(field sum: too odd\\)`,
        ),
      );
      assert.ok(endpoint.posts.length < 60, `${endpoint.posts.length} POSTs`);
      await half.close();
    });
  }

  test("an endpoint that takes no record at all makes none to be left out", async () => {
    const { endpoint, half, committed } = await rig();
    endpoint.fate = () => 415;
    await half.add("summaries", 100);
    await half.add("alerts", 1);
    await half.clock.pass(600_000);
    assert.match(
      statusOf(half, "summaries").trouble ?? "",
      /takes none of summaries 0 to 7, each by itself, and answers 415: check that url, format/,
    );
    assert.match(statusOf(half, "alerts").trouble ?? "", /takes none of alerts 0, each by itself/);
    assert.equal(statusOf(half, "summaries").incidents.count, 0);
    assert.equal(half.store.status.outbox.summaries.records, 100);
    endpoint.fate = () => "take";
    await half.add("alerts", 1);
    await half.clock.pass(limits.uplinkRetryMsMax);
    assertAllThere(endpoint, committed);
    await half.close();
  });

  test("the first of all is left out where the one behind it is taken", async () => {
    const { endpoint, half, committed } = await rig();
    endpoint.fate = ({ first }) => (first === 0 ? 422 : "take");
    await half.add("alerts", 1);
    await half.clock.pass(1);
    assert.equal(half.store.status.outbox.alerts.records, 1, "it may be the configuration");
    await half.add("alerts", 1);
    await half.clock.pass(limits.uplinkRetryMsMax);
    assert.equal(half.store.status.outbox.alerts.records, 0);
    assert.equal(statusOf(half, "alerts").incidents.last?.first, 0);
    assert.deepEqual(
      endpoint.taken.alerts.map(({ text }) => text),
      committed.alerts.slice(1),
    );
    await half.close();
  });

  test("an endpoint that changes its mind loses few records, and then none", async () => {
    const { endpoint, half } = await rig();
    await half.add("summaries", 10);
    await half.clock.pass(1);
    endpoint.fate = () => 400;
    await half.add("summaries", 500);
    await passOften(half, { times: 100, ms: 60_000 });
    const { incidents, behind } = statusOf(half, "summaries");
    assert.equal(incidents.count, limits.postLeftOutMax);
    assert.equal(behind, 500 - limits.postLeftOutMax);
    await half.close();
  });

  test("who asks to be left alone is left alone for so long, within bounds", async () => {
    const { endpoint, half, committed } = await rig();
    endpoint.fate = () => ({ status: 503, retryAfterMs: 120_000 });
    await half.add("alerts", 1);
    await half.clock.pass(119_000);
    assert.equal(endpoint.posts.length, 1);
    assert.match(
      statusOf(half, "alerts").trouble ?? "",
      /503, and asks to be left alone for 120 s/,
    );
    endpoint.fate = () => ({ status: 429, retryAfterMs: 7 * 86_400_000 });
    await half.clock.pass(2_000);
    assert.equal(endpoint.posts.length, 2);
    endpoint.fate = () => "take";
    await half.clock.pass(limits.postRetryAfterMsMax);
    assertAllThere(endpoint, committed);
    await half.close();
  });

  const failures: readonly (readonly [PostFate, RegExp])[] = [
    [408, /answers 408/],
    [425, /answers 425/],
    [429, /answers 429/],
    [500, /answers 500/],
    [502, /answers 502/],
    [{ status: 503, words: "busy" }, /answers 503 \(busy\)$/],
    [401, /refuses our login with 401: set token, or user and password/],
    [403, /refuses what is posted with 403: let this login post there/],
    [404, /answers 404; nothing takes records at this address: correct url/],
    [405, /answers 405; nothing takes records/],
    [
      { status: 302, location: "http://login.example/" },
      /leads elsewhere with 302 to http:\/\/login\.example\/, which is not followed/,
    ],
    [{ status: 418 }, /answers 418$/],
    ["cut", /no answer: ECONNRESET/],
  ];
  for (const [fate, trouble] of failures) {
    const name = typeof fate === "object" ? String(fate.status) : String(fate);
    test(`${name} is told, and tried again until it is taken`, async () => {
      const { endpoint, half, committed } = await rig();
      endpoint.fate = () => fate;
      await half.add("alerts", 3);
      await half.clock.pass(10_000);
      assert.match(statusOf(half, "alerts").trouble ?? "", trouble);
      assert.equal(statusOf(half, "alerts").incidents.count, 0);
      endpoint.fate = () => "take";
      await half.clock.pass(limits.uplinkRetryMsMax);
      assertAllThere(endpoint, committed);
      assert.equal(statusOf(half, "alerts").trouble, undefined);
      await half.close();
    });
  }

  test("a page where nothing was to be read is a portal's, whatever its status says", async () => {
    const endpointOpen = { url: "http://in.example/records", isSecure: false };
    const { endpoint, half, committed } = await rig({ endpoint: endpointOpen });
    endpoint.fate = () => ({ status: 200, contentType: "text/html" });
    await half.add("alerts", 1);
    await half.clock.pass(1);
    assert.match(
      statusOf(half, "alerts").trouble ?? "",
      /answers 200 with a page for people; perhaps a portal of the network wants a login/,
    );
    assert.equal(half.store.status.outbox.alerts.records, 1, "it is not taken for an answer");
    endpoint.fate = () => "take";
    await half.clock.pass(limits.uplinkRetryMsMax);
    assertAllThere(endpoint, committed);
    await half.close();
  });

  test("nothing is sent while nothing waits, and an end does not wait for a server that hangs", async () => {
    const { endpoint, half } = await rig();
    await half.clock.pass(3_600_000);
    assert.equal(endpoint.posts.length, 0);
    endpoint.fate = () => "hang";
    await half.add("alerts", 1);
    await half.clock.pass(1);
    await half.close();
  });

  test("it is untried until the endpoint has answered once, whatever the answer", async () => {
    const { endpoint, half } = await rig();
    const states = () => outputQueues.map((lane) => statusOf(half, lane).state);
    await half.clock.pass(3_600_000);
    assert.deepEqual(states(), ["untried", "untried"]);
    assert.equal(half.drain.status[0]?.state, "untried");
    endpoint.fate = () => "cut";
    await half.add("alerts", 1);
    await half.clock.pass(1);
    assert.deepEqual(states(), ["waiting", "untried"]);
    endpoint.fate = () => "take";
    await half.clock.pass(limits.uplinkRetryMsMax);
    assert.deepEqual(states(), ["running", "running"], "what one lane was told counts for all");
    await half.close();
  });

  test("what is delivered is counted since the start, and once where the answer was lost", async () => {
    const { endpoint, committed, half } = await rig();
    await half.add("alerts", 3);
    await half.clock.pass(1);
    endpoint.fate = () => "lose";
    await half.add("alerts", 2);
    await half.clock.pass(1);
    endpoint.fate = () => "take";
    await half.clock.pass(limits.uplinkRetryMsMax);
    assert.deepEqual([statusOf(half, "alerts").next, statusOf(half, "alerts").delivered], [5, 5]);
    const { image, clock } = half.kill();
    const { connect } = endpoint;
    const after = await openHttpHalf({ connect, committed, seed: 2, image, clock });
    await after.add("alerts", 1);
    await clock.pass(1);
    assert.deepEqual([statusOf(after, "alerts").next, statusOf(after, "alerts").delivered], [6, 1]);
    await after.close();
  });

  test("whatever is cut and killed while records flow, each arrives, with one id and one text", async (t) => {
    let behind = 0;
    await eachSeed(t, seedCount, async (seed) => {
      const random = seededRandom(seed);
      const endpoint = new EndpointModel();
      const committed: Committed = byOutputQueue(() => []);
      const fates = ["cut", "lose", "hang", 503, 429, 413, 302, 401] as const;
      const oneIn = 1 + below(random, 8);
      const format = below(random, 2) === 0 ? "ndjson" : "cloudevents";
      const compress = below(random, 2) === 0 ? "none" : "gzip";
      const batchBytesMax = 2_048 + below(random, 30_000);
      // A record is of one second: in every other course an endpoint that is away leaves a backlog.
      const freshForMs = seed % 2 === 0 ? Infinity : 10_000;
      const changes = { format, compress, batchBytesMax, freshForMs } as const;
      const { connect } = endpoint;
      endpoint.fate = ({ records }) => {
        const fate = below(random, oneIn) === 0 ? fates[below(random, fates.length)]! : "take";
        return fate === 413 && records.length === 1 ? "take" : fate;
      };
      let half = await openHttpHalf({ connect, committed, seed, changes });
      for (let step = 0; step < 25; step++) {
        endpoint.isUp = below(random, 4) > 0;
        const lane = outputQueues[below(random, outputQueues.length)]!;
        await half.add(lane, 1 + below(random, 60));
        await half.clock.pass(below(random, 2_000));
        if (below(random, 4) > 0) continue;
        // The end, at the next commit of the store, before it takes effect or after.
        const at = below(random, 2) === 0 ? "before" : "after";
        half.kv.onCommit = (writes, when) => {
          if (when === at && writes.some(({ key }) => key.startsWith("uplink/"))) half.kv.die();
        };
        await half.clock.pass(below(random, 500));
        const { image, clock } = half.kill();
        half = await openHttpHalf({ connect, committed, seed: seed + step, image, clock, changes });
      }
      endpoint.isUp = true;
      endpoint.fate = () => "take";
      // What hangs is given up by the door, which is not here: another process.
      const { image, clock } = half.kill();
      half = await openHttpHalf({ connect, committed, seed, image, clock, changes });
      await passOften(half, { times: 300, ms: limits.uplinkRetryMsMax });
      assertAllThere(endpoint, committed);
      for (const lane of outputQueues) assert.equal(half.store.status.outbox[lane].records, 0);
      behind += endpoint.taken.backfill.length;
      await half.close();
    });
    t.diagnostic(`${behind} records were behind`);
    if (reachesAll) assert.ok(behind > 0, "some were behind");
  });
});
