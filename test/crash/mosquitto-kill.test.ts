/**
 * A real agent behind a real Mosquitto, with messages of QoS 1 and 2 flowing all the time: the agent
 * is killed, the broker is killed, the connection is cut, again and again. Afterwards everything the
 * broker still owed is counted, each reading once.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { countOf } from "../support/long-form.ts";
import { assertSound } from "../support/mosquitto/oracle.ts";
import { openSite, type Site } from "../support/mosquitto/site.ts";
import { requireTool } from "../support/require-tool.ts";
import { fractions } from "../support/seeded-random.ts";

/** Of each kind. */
const FAULTS = countOf("WEIR_TEST_KILLS", { short: 2, long: 6 });
const SEED = Number(process.env["WEIR_TEST_SEED"] ?? 1);
const DEVICES = 8;

type Fault = "agent" | "broker" | "cut";

const forms = [
  { name: "MQTT 5", protocolVersion: 5, inFlightMax: 1_000 },
  { name: "MQTT 3.1.1, at most 20 under way", protocolVersion: 4, inFlightMax: 20 },
] as const;

for (const { name, protocolVersion, inFlightMax } of forms) {
  test(`${name}: what Mosquitto owes survives ${FAULTS} kills of the agent, of the broker, and cuts`, {
    timeout: 60_000 + FAULTS * 25_000,
  }, async (t) => {
    if (!requireTool(t, "mosquitto")) return;
    t.diagnostic(
      `replay with WEIR_TEST_SEED=${SEED} WEIR_TEST_KILLS=${FAULTS} npm test -- test/crash/mosquitto-kill.test.ts`,
    );
    const random = fractions(SEED);
    await using site = await openSite({
      mosquitto: { inFlightMax },
      protocolVersion,
      broker: "qos: 2",
    });
    const fleet = site.startFleet(DEVICES);
    for (let round = 0; round < FAULTS; round++) {
      for (const fault of shuffled(random)) {
        await site.progress(50);
        await sleep(random() * 500);
        await strike(site, fault, random);
      }
    }
    await site.progress(50);
    await fleet.stop();
    await site.allAcknowledged();
    await sleep(4_000); // longer than the idle timeout: silent devices let their windows close
    const verdict = await site.finish();
    const { witness } = site.station;
    t.diagnostic(
      `${verdict.readings} readings, ${verdict.lostByBroker} of them lost by the broker; ${witness.delivered} delivered, ${witness.redelivered} of them again, ${witness.exactlyOnce} with QoS 2`,
    );
    assertSound(verdict);
    assert.equal(fleet.acknowledged.size, fleet.sent.size);
    assert.ok(witness.exactlyOnce > 0 && witness.exactlyOnce < witness.delivered, "QoS 1 and 2");
    assert.equal(witness.outOfOrder, 0, "acknowledgements come in the order of messages");
    assert.equal(witness.strayAcks, 0, "only what was given is acknowledged");
    assert.deepEqual(witness.faults, []);
    const [first, ...later] = witness.sessionsPresent;
    assert.equal(first, false);
    assert.ok(later.length >= 2 * FAULTS && later.every((present) => present), "one session");
  });
}

async function strike(site: Site, fault: Fault, random: () => number): Promise<void> {
  if (fault === "agent") return await site.killAgent();
  if (fault === "cut") return site.station.proxy.cut({ torn: random() < 0.5 });
  const signal = random() < 0.5 ? "SIGTERM" : "SIGKILL";
  await site.killBroker(signal, { staleMs: random() * 100, downMs: random() * 300 });
}

/** One of each kind, in random order. */
function shuffled(random: () => number): readonly Fault[] {
  const kinds: readonly Fault[] = ["agent", "broker", "cut"];
  return kinds
    .map((kind) => ({ kind, order: random() }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ kind }) => kind);
}
