import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { KvMemory } from "../../store/state/kv-memory.ts";
import { openStateStore } from "../../store/state/state-store.ts";
import { linkOf } from "../config/link-config.ts";
import { Links } from "./links.ts";

const quota = { bytes: 1_000_000, per: "month", reserveBytes: 0 } as const;

test("uplinks over one link share its quota, and the next process goes on with it", async () => {
  const kv = new KvMemory();
  const clock = new SimulatedClock(Date.parse("2026-11-28T12:00:00Z"));
  const open = async (): Promise<Links> => {
    const { store } = await openStateStore(kv);
    const policies = [linkOf({ name: "lte", quota }), linkOf({ name: "sat" })];
    return new Links({ policies, clock, store, trustedNow: () => clock.now() });
  };
  const links = await open();
  const kafka = links.via(["lte", "sat"], { isShared: false });
  const bridge = links.via(["lte"], { isShared: true });
  assert.ok(kafka !== undefined && bridge !== undefined);
  assert.equal(links.via(undefined, { isShared: false }), undefined);
  for (const via of [kafka, bridge]) {
    await new Promise<void>((resolve) => {
      via.wire("alerts").send(1_000, resolve);
    });
  }
  const [lte, sat] = links.status;
  assert.deepEqual([lte?.quota?.usedBytes, lte?.quota?.period], [2_000, "2026-11"]);
  assert.equal(sat?.sentBytes, 0);
  kafka.linkOf("summaries").wire("summaries").received(998_000);
  assert.equal(kafka.linkOf("summaries").name, "sat");
  kafka.wire("summaries").received(5);
  assert.deepEqual(
    links.status.map(({ receivedBytes }) => receivedBytes),
    [998_000, 5],
    "it goes over the other one, which counts as well",
  );
  assert.equal(bridge.linkOf("summaries").name, "lte", "it has no other");
  await links.close();
  const next = await open();
  assert.equal(next.status[0]?.quota?.usedBytes, 1_000_000);
});
