/**
 * The failure table on Kafka itself, first part: the agent dies at any step, or an answer does not
 * reach it. A read_committed consumer finds every record once whatever happened.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { outputQueues } from "../../src/store/outbox/lane.ts";
import {
  begun,
  type FailureRig,
  inTime,
  once,
  oneBroker,
  portion,
  type Step,
  steps,
} from "../support/kafka/failure-rig.ts";
import { pairsOf } from "../support/long-form.ts";
import type { KafkaProxy, Verdict } from "../support/kafka/proxy.ts";
import {
  type HalfOptions,
  type Remains,
  startHalf,
  type UplinkHalf,
} from "../support/kafka/uplink-half.ts";
import { assertOnce } from "../support/kafka/upstream-records.ts";

type Place = {
  readonly step: Step;
  readonly side: "request" | "response";
  readonly verdict: Verdict;
};

/** Before the broker heard, while it is at it, and after it acted. */
const moments = [
  { side: "request", verdict: "cut" },
  { side: "request", verdict: "cut-after" },
  { side: "response", verdict: "cut" },
] as const;

const answerLost = { side: "response", verdict: "cut" } as const;
const answerAwaited = { side: "response", verdict: "hold" } as const;
const commitUnheard: Place = { step: "EndTxn", ...answerLost };

for (const version of ["3.9", "4"] as const) {
  describe(`Kafka ${version}: no record is lost or sent twice`, () => {
    const broker = oneBroker({ version });

    it("when the agent dies at any step of a transaction", async (t) => {
      const rig = await broker(t);
      if (rig === undefined) return;
      const halves: UplinkHalf[] = [];
      // In the short form each version has others.
      for (const [step, moment] of pairsOf(steps, moments, version === "4" ? 1 : 0)) {
        const of = optionsOf(rig, `dies-${halves.length}-${step}`);
        const remains = await deathAt(rig.proxy, of, { step, ...moment });
        halves.push(await revived(of, remains));
      }
      await assertOnce(halves, rig.kafka);
    });

    it("when the agent dies before or after a commit of its store", async (t) => {
      const rig = await broker(t);
      if (rig === undefined) return;
      const halves: UplinkHalf[] = [];
      for (const moment of ["before", "after"] as const) {
        // Intent, receipt, and those of the other lane.
        for (const count of [1, 2, 3, 4]) {
          const of = optionsOf(rig, `dies-${moment}-commit-${count}`);
          const half = await begun(of);
          const death = half.dieAtCommit(moment, count);
          await half.emit(portion);
          const remains = await inTime(`${half.agent} dies`, death);
          halves.push(await revived(of, remains));
        }
      }
      await assertOnce(halves, rig.kafka);
    });

    it("when the agent dies again and again before it has found its cursor", async (t) => {
      const rig = await broker(t);
      if (rig === undefined) return;
      const of = optionsOf(rig, "dies-again");
      let remains = await deathOf(rig.proxy, await begun(of), commitUnheard);
      for (const step of ["InitProducerId", "OffsetFetch", "InitProducerId"] as const) {
        remains = await deathOpening(rig.proxy, { ...of, remains }, { step, ...answerLost });
      }
      const half = await revived(of, remains);
      assert(outputQueues.some((lane) => half.found(lane) === "committed"));
      await assertOnce([half], rig.kafka);
    });

    it("when the answer of any step is lost", async (t) => {
      const rig = await broker(t);
      if (rig === undefined) return;
      const halves = [];
      for (const step of steps) {
        const of = optionsOf(rig, `unheard-${step}`);
        halves.push(await troubled(rig, of, { step, ...answerLost }));
      }
      await assertOnce(halves, rig.kafka);
    });

    if (version !== "4") return;
    it("when an answer takes longer than the request may", async (t) => {
      const rig = await broker(t);
      if (rig === undefined) return;
      const halves = [];
      for (const step of ["InitProducerId", "Produce", "EndTxn"] as const) {
        const of = { ...optionsOf(rig, `awaited-${step}`), requestTimeoutMs: 700 };
        halves.push(await troubled(rig, of, { step, ...answerAwaited }));
      }
      await assertOnce(halves, rig.kafka);
    });
  });
}

function optionsOf({ proxy }: FailureRig, agent: string): HalfOptions {
  return { agent, bootstrap: proxy.bootstrap };
}

/** The next process, which has sent the rest and something new, and ended. */
async function revived(of: HalfOptions, remains: Remains): Promise<UplinkHalf> {
  await using half = await startHalf({ ...of, remains });
  await half.emit(portion);
  await half.sent();
  return half;
}

// ---- dying ----

/** What is left of a half that had sent something, and died there. */
async function deathAt(proxy: KafkaProxy, of: HalfOptions, at: Place): Promise<Remains> {
  const half = await begun(of);
  if (!isOpening(at.step)) return await deathOf(proxy, half, at);
  // What dies while it opens has something to find.
  const remains = await deathOf(proxy, half, commitUnheard);
  return await deathOpening(proxy, { ...of, remains }, at);
}

/** The half dies at that step of its next transaction. */
async function deathOf(proxy: KafkaProxy, half: UplinkHalf, at: Place): Promise<Remains> {
  const { promise, resolve } = Promise.withResolvers<Remains>();
  once(proxy, at, () => {
    resolve(half.crash());
    return at.verdict;
  });
  await half.emit(portion);
  return await inTime(`${half.agent} dies: ${nameOf(at)}`, promise);
}

/** A half begins and dies there. */
async function deathOpening(proxy: KafkaProxy, of: HalfOptions, at: Place): Promise<Remains> {
  const { promise, resolve } = Promise.withResolvers<void>();
  once(proxy, at, () => {
    half.crash();
    resolve();
    return at.verdict;
  });
  const half = await startHalf(of);
  await inTime(`${half.agent} dies as it opens: ${nameOf(at)}`, promise);
  return half.crash();
}

function nameOf({ step, side, verdict }: Place): string {
  return `${verdict} the ${side} of ${step}`;
}

function isOpening(step: Step): boolean {
  return step === "InitProducerId" || step === "OffsetFetch";
}

// ---- living on ----

/** A half that met this trouble, went on by itself, has sent everything and ended. */
async function troubled({ proxy }: FailureRig, of: HalfOptions, at: Place): Promise<UplinkHalf> {
  await using half = await begun(of);
  const { promise: met, resolve } = Promise.withResolvers<void>();
  const meet = (): void => {
    once(proxy, at, () => {
      resolve();
      return at.verdict;
    });
  };
  // What goes wrong while it opens again has something to find.
  if (isOpening(at.step)) {
    once(proxy, commitUnheard, () => {
      meet();
      return commitUnheard.verdict;
    });
  } else {
    meet();
  }
  await half.emit(portion);
  await inTime(`${half.agent} meets its trouble: ${nameOf(at)}`, met);
  await half.sent();
  const found = outputQueues.map((lane) => half.found(lane));
  const isCommitted = isOpening(at.step) || at.step === "EndTxn";
  assert.equal(found.includes("committed"), isCommitted, `${half.agent}: ${found.join()}`);
  return half;
}
