import assert from "node:assert/strict";
import { test } from "node:test";
import { NOW, openBench, source, take } from "../../../../test/support/intake.ts";
import { SimulatedClock } from "../../../../test/support/simulated-clock.ts";
import type { Posted } from "../../../core/frame.ts";
import { limits } from "../../../core/limits.ts";
import { Posts, type PostOutcome } from "./posts.ts";

/** Small frames, sealed and made durable by hand. */
function openDesk(
  options: {
    readonly rows?: number;
    readonly posted?: readonly Posted[];
    readonly now?: number;
  } = {},
) {
  const { rows = 1_024, posted = [], now = NOW } = options;
  const small = { batchRowsMax: rows, readingsPerMessageMax: Math.min(rows, 16) };
  const bench = openBench([source({})], small);
  const clock = new SimulatedClock(now);
  const posts = new Posts({ intake: bench.intake, clock, trustedNow: () => clock.now(), posted });
  const frames: { readonly rows: number; readonly posted: readonly Posted[] }[] = [];
  const turn = (): void => {
    posts.seal();
    const { readings, definitions } = take(bench);
    const told = definitions.filter((one): one is Posted => one.kind === "posted");
    frames.push({ rows: readings.length, posted: told });
    posts.release();
    posts.room();
  };
  const json = (
    body: unknown,
    { key, topic }: { readonly key?: string; readonly topic?: string } = {},
  ): Promise<PostOutcome> => {
    const bytes = Buffer.from(JSON.stringify(body));
    return posts.take({ bytes, type: "application/json", topic }, key);
  };
  return { bench, clock, posts, frames, turn, json };
}

const on = (topic: string, payload: unknown): object => ({ topic, payload });

test("a body is answered when it is durable, and its numbers add up", async () => {
  const { posts, frames, turn, json, bench } = openDesk();
  let isAnswered = false;
  const answered = json([
    on("plant/p1", { a: 1, b: 2 }),
    on("elsewhere", { a: 1 }),
    on("plant/p2", [1, 2]),
    on("plant/p2", 7),
  ]);
  void answered.then(() => (isAnswered = true));
  await new Promise(setImmediate);
  assert.equal(isAnswered, false, "it is not durable yet");
  turn();
  const counts = { messages: 4, decoded: 2, deadLettered: 1, unwanted: 1 };
  const answer = { ...counts, unwantedTopics: ["elsewhere"], repeated: false };
  assert.deepEqual(await answered, { kind: "durable", answer });
  assert.deepEqual(frames, [{ rows: 3, posted: [] }]);
  const { decoded, deadLettered, unwanted } = bench.intake.counters;
  assert.deepEqual({ messages: 4, decoded, deadLettered, unwanted }, counts);
  assert.equal(posts.counters.messages, 4);
});

test("nothing is taken of a body with which anything is wrong, wherever", async () => {
  const { json, posts, bench } = openDesk();
  const good = on("plant/p1", { a: 1 });
  const outcomes = [
    await json([good, on("plant/+", 1)]),
    await json([good, { topic: "plant/p1" }]),
    await json([]),
    await json([on("x", 1), on("y", 2)]),
    await json(Array.from({ length: limits.postMessagesMax + 1 }, () => good)),
  ];
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["malformed", "malformed", "malformed", "unwanted", "tooLong"],
  );
  const said = outcomes.map((outcome) => (outcome.kind === "malformed" ? outcome.message : ""));
  const form = 'a body of application/json is a message such as {"topic":';
  assert.equal(said[0], "message 2 (byte 40): a topic to publish on has none of +, # and NUL");
  assert.ok(said[1]?.startsWith("byte 40: ") && said[1].includes(`; ${form}`), String(said[1]));
  assert.ok(said[2]?.startsWith(`the body holds no message; ${form}`), String(said[2]));
  assert.deepEqual(outcomes[3], { kind: "unwanted", topic: "x" });
  const lines = Buffer.from(`${JSON.stringify(good)}\n\n\n${JSON.stringify(on("", 1))}\n`);
  const type = "application/x-ndjson";
  assert.deepEqual(await posts.take({ bytes: lines, type, topic: undefined }, undefined), {
    kind: "malformed",
    message: "message 2 (line 4): a topic is empty",
  });
  const { decoded, unwanted } = bench.intake.counters;
  assert.deepEqual([decoded, unwanted, posts.counters.refused], [0, 2, 6]);
  assert.equal(take(bench).readings.length, 0);
});

test("under its key a body is taken once; another under the same key is refused", async () => {
  const { json, turn, frames, posts } = openDesk();
  const body = [on("plant/p1", { a: 1 })];
  const [first, twin] = [json(body, { key: "k" }), json(body, { key: "k" })];
  turn();
  const answer = { messages: 1, decoded: 1, deadLettered: 0, unwanted: 0 };
  assert.deepEqual(await first, { kind: "durable", answer: { ...answer, repeated: false } });
  assert.deepEqual(await twin, { kind: "durable", answer: { ...answer, repeated: true } });
  const again = await json(body, { key: "k" });
  assert.deepEqual(again, { kind: "durable", answer: { ...answer, repeated: true } });
  assert.equal((await json([on("plant/p1", { a: 2 })], { key: "k" })).kind, "otherBody");
  assert.equal((await json(body, { key: "k", topic: "plant/p1" })).kind, "otherBody");
  turn();
  assert.deepEqual(
    frames.map(({ rows }) => rows),
    [1, 0],
  );
  const { digest, ...told } = frames[0]!.posted[0]!;
  assert.equal(digest.length, 22);
  assert.deepEqual(told, {
    kind: "posted",
    key: "k",
    at: NOW,
    isWhole: true,
    decoded: 1,
    deadLettered: 0,
    unwanted: 0,
  });
  assert.deepEqual([posts.counters.bodies, posts.counters.repeated], [1, 2]);
});

test("a body that fills several frames tells in each how far it is, and goes on there after a crash", async () => {
  const body = Array.from({ length: 40 }, (_, n) =>
    n % 8 === 3 ? on("elsewhere", n) : on("plant/p1", n % 8 === 5 ? [n] : { n }),
  );
  const whole = openDesk({ rows: 10 });
  const answered = whole.json(body, { key: "k" });
  for (let n = 0; n < 4; n++) whole.turn();
  const outcome = await answered;
  assert.equal(outcome.kind, "durable");
  const { frames } = whole;
  assert.equal(frames.filter(({ posted }) => posted.length === 1).length, 3);
  for (let kept = 0; kept <= frames.length; kept++) {
    const before = frames.slice(0, kept);
    const next = openDesk({ rows: 10, posted: before.flatMap(({ posted }) => posted) });
    const again = next.json(body, { key: "k" });
    for (let n = 0; n < 4; n++) next.turn();
    const repeated = kept >= 3;
    assert.ok(outcome.kind === "durable");
    assert.deepEqual(await again, { kind: "durable", answer: { ...outcome.answer, repeated } });
    const rows = [...before, ...next.frames].reduce((sum, frame) => sum + frame.rows, 0);
    assert.equal(rows, 30, `after ${kept} frames`);
  }
});

test("what finds no room is told so in time, and goes on behind what is taken", async () => {
  const { json, clock, turn, frames } = openDesk({ rows: 4 });
  const body = Array.from({ length: 6 }, (_, n) => on("plant/p1", { n }));
  const first = json(body, { key: "k" });
  const second = json([on("plant/p1", { z: 1 })]);
  await clock.pass(limits.postWaitMs);
  assert.deepEqual(await first, { kind: "noRoom", taken: 4 });
  assert.deepEqual(await second, { kind: "noRoom", taken: 0 });
  const again = json(body, { key: "k" });
  turn();
  turn();
  const outcome = await again;
  assert.ok(outcome.kind === "durable");
  assert.equal(outcome.answer.messages, 6);
  // Whole, but not durable in time: then it is asked for again, and durable.
  const late = json(body, { key: "late" });
  turn();
  await clock.pass(limits.postWaitMs);
  assert.deepEqual(await late, { kind: "noRoom", taken: 6 });
  const asked = json(body, { key: "late" });
  turn();
  const found = await asked;
  assert.deepEqual([found.kind === "durable" && found.answer.repeated], [true]);
  const rows = frames.reduce((sum, frame) => sum + frame.rows, 0);
  assert.equal(rows, 12);
});

test("bodies under keys have no more of a frame than its bound allows", async () => {
  const { json, turn, frames } = openDesk();
  const count = limits.postsPerFrameMax + 5;
  const answers = Array.from({ length: count }, (_, n) =>
    json(on("plant/p1", { n }), { key: `k${n}` }),
  );
  turn();
  turn();
  await Promise.all(answers);
  assert.deepEqual(
    frames.map(({ posted }) => posted.length),
    [limits.postsPerFrameMax, 5],
  );
});

test("bodies leave half of a frame to others, however many wait", async () => {
  const { json, turn, frames } = openDesk({ rows: limits.batchRowsMax });
  const body = Array.from({ length: limits.postMessagesMax }, (_, n) => ({ n }));
  const answers = Array.from({ length: 5 }, () =>
    json(body.map((payload) => on("plant/p1", payload))),
  );
  for (let turns = 0; turns < 3; turns++) turn();
  await Promise.all(answers);
  assert.deepEqual(
    frames.map(({ rows }) => rows),
    [16_384, 16_384, 8_192],
  );
});

test("a key is forgotten after a day of a clock that is believed, and when there are newer ones", async () => {
  const posted = (key: string, at: number): Posted => {
    const counts = { decoded: 1, deadLettered: 0, unwanted: 0 };
    return { kind: "posted", key, digest: "of another body", at, isWhole: true, ...counts };
  };
  const many = Array.from({ length: limits.postKeysMax - 1 }, (_, n) => posted(`k${n}`, NOW));
  const all = [posted("pushed", NOW), posted("unset", 0), ...many];
  const { json, turn } = openDesk({ posted: all, now: NOW + limits.postKeyMsMax });
  const kindOf = async (key: string): Promise<string> => {
    const outcome = json(on("plant/p1", { a: 1 }), { key });
    turn();
    return (await outcome).kind;
  };
  assert.equal(await kindOf("unset"), "otherBody");
  assert.equal(await kindOf("k0"), "otherBody");
  assert.equal(await kindOf("pushed"), "durable");
  const later = openDesk({ posted: all, now: NOW + limits.postKeyMsMax + 1 });
  const again = later.json(on("plant/p1", { a: 1 }), { key: "k0" });
  later.turn();
  assert.equal((await again).kind, "durable");
  assert.equal((await later.json(on("plant/p1", { a: 1 }), { key: "unset" })).kind, "otherBody");
});

test("who ends takes nothing more; what is taken is answered when it is durable", async () => {
  const { json, posts, turn } = openDesk({ rows: 4 });
  const held = json(on("plant/p1", { a: 1 }));
  const waiting = json(Array.from({ length: 6 }, (_, n) => on("plant/p1", { n })));
  posts.stop();
  assert.equal((await waiting).kind, "ended");
  assert.equal((await json(on("plant/p1", { a: 1 }))).kind, "ended");
  turn();
  assert.equal((await held).kind, "durable");
  const lost = openDesk();
  const gone = lost.json(on("plant/p1", { a: 1 }));
  lost.posts.seal();
  lost.posts.abandon();
  assert.equal((await gone).kind, "ended");
});
