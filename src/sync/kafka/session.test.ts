import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  afterEvent,
  closedSession,
  isResting,
  type Session,
  type SessionEvent,
  type SessionState,
  waitMsOf,
  waitsMax,
} from "./session.ts";

const errors = [
  undefined,
  "CONCURRENT_TRANSACTIONS",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "UNSTABLE_OFFSET_COMMIT",
  "PRODUCER_FENCED",
];

const events = fc.oneof(
  { weight: 4, arbitrary: fc.constant<SessionEvent>({ kind: "done" }) },
  fc.constantFrom<SessionEvent>({ kind: "open" }, { kind: "deliver" }, { kind: "foreign" }),
  fc.constantFrom(...errors).map((error): SessionEvent => ({ kind: "failed", error })),
);
const deliveries = fc.constantFrom("transactional" as const, "upsert" as const);

/** The sessions that the events lead through; those that cannot occur are left out. */
function through(start: Session, all: readonly SessionEvent[]): readonly Session[] {
  const sessions = [start];
  for (const event of all) {
    const next = afterEvent(sessions.at(-1) ?? start, event);
    if (next !== undefined) sessions.push(next);
  }
  return sessions;
}

function statesAfter(delivery: "transactional" | "upsert", count: number): readonly SessionState[] {
  const done = Array.from({ length: count }, (): SessionEvent => ({ kind: "done" }));
  const opened = through(closedSession(delivery), [{ kind: "open" }, ...done]);
  const delivered = through(opened.at(-1) ?? opened[0]!, [{ kind: "deliver" }, ...done]);
  return [...opened, ...delivered.slice(1)].map(({ state }) => state);
}

test("each delivery has its order of steps, and comes back to ready", () => {
  const opened = ["closed", "connecting", "initialising", "reading", "reconciling", "ready"];
  const sent = ["adding", "sending", "committing", "ready"];
  assert.deepEqual(statesAfter("transactional", 4), [...opened, ...sent]);
  const upsert = ["closed", "connecting", "reconciling", "ready", "sending", "ready"];
  assert.deepEqual(statesAfter("upsert", 3), upsert);
});

test("nothing is sent before a new producer and its cursor are there, whatever failed before", () => {
  fc.assert(
    fc.property(fc.array(events, { maxLength: 200 }), (all) => {
      const states = through(closedSession("transactional"), all).map(({ state }) => state);
      for (const [index, state] of states.entries()) {
        if (state !== "sending") continue;
        const since = states.slice(states.lastIndexOf("closed", index), index);
        const steps = [...new Set(since)];
        assert.deepEqual(steps.slice(0, 6), [
          "closed",
          "connecting",
          "initialising",
          "reading",
          "reconciling",
          "ready",
        ]);
      }
    }),
  );
});

test("every step may succeed or fail, and what rests takes only what it waits for", () => {
  fc.assert(
    fc.property(deliveries, fc.array(events, { maxLength: 100 }), (delivery, all) => {
      for (const session of through(closedSession(delivery), all)) {
        const takes = (event: SessionEvent): boolean => afterEvent(session, event) !== undefined;
        const { state } = session;
        assert.equal(takes({ kind: "done" }), !isResting(state));
        assert.equal(
          takes({ kind: "failed", error: undefined }),
          state !== "closed" && state !== "halted",
        );
        assert.equal(takes({ kind: "open" }), state === "closed");
        assert.equal(takes({ kind: "deliver" }), state === "ready");
        assert.equal(takes({ kind: "foreign" }), state === "reconciling");
      }
    }),
  );
});

test("a failure leads to closed, unless the cluster is only busy", () => {
  fc.assert(
    fc.property(deliveries, fc.array(events, { maxLength: 100 }), (delivery, all) => {
      for (const session of through(closedSession(delivery), all)) {
        for (const error of [undefined, "PRODUCER_FENCED"]) {
          const next = afterEvent(session, { kind: "failed", error });
          assert.ok(next === undefined || next.state === "closed");
        }
      }
    }),
  );
});

test("a busy cluster is waited for a bounded number of times, about a minute in all", () => {
  const failed: SessionEvent = { kind: "failed", error: "CONCURRENT_TRANSACTIONS" };
  const opened = through(closedSession("transactional"), [{ kind: "open" }, { kind: "done" }]);
  let session: Session | undefined = opened.at(-1);
  let waits = 0;
  let waitedMs = 0;
  for (;;) {
    session = session && afterEvent(session, failed);
    if (session?.state !== "initialising") break;
    waits += 1;
    waitedMs += waitMsOf(session);
    assert.ok(waitMsOf(session) > 0);
  }
  assert.equal(session?.state, "closed");
  assert.equal(waits, waitsMax);
  assert.ok(waitedMs > 60_000 && waitedMs < 90_000, `${waitedMs} ms`);
});

test("waits count from the beginning at each step", () => {
  const busy: SessionEvent = { kind: "failed", error: "COORDINATOR_LOAD_IN_PROGRESS" };
  const done: SessionEvent = { kind: "done" };
  const sessions = through(closedSession("transactional"), [
    { kind: "open" },
    done,
    busy,
    busy,
    done,
  ]);
  assert.deepEqual(
    sessions.slice(-2).map(({ waits }) => waits),
    [2, 0],
  );
});
