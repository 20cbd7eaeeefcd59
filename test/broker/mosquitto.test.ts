/**
 * The agent as a subscriber of a real Mosquitto, through a proxy that makes the link bad: lost
 * sessions, half-open connections, shared subscriptions, small windows, both versions.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { limits } from "../../src/core/limits.ts";
import { assertSound } from "../support/mosquitto/oracle.ts";
import { openSite, until } from "../support/mosquitto/site.ts";
import { requireTool } from "../support/require-tool.ts";

/** Longer than the idle timeout: silent devices let their windows close. */
const CLOSE_MS = 4_000;
const versions = [
  { name: "MQTT 5", protocolVersion: 5 },
  { name: "MQTT 3.1.1", protocolVersion: 4 },
] as const;

for (const { name, protocolVersion } of versions) {
  describe(`a subscriber of Mosquitto, ${name}`, () => {
    it("subscribes again when the broker comes back without its session", async (t) => {
      if (!requireTool(t, "mosquitto")) return;
      await using site = await openSite({ protocolVersion, broker: "qos: 1" });
      const fleet = site.startFleet(4);
      await site.progress(50);
      await fleet.pause(); // what comes before the new subscription, nobody owes to anybody
      await site.allAcknowledged();
      const { witness } = site.station;
      const subscribed = witness.subscribed;
      await site.killBroker("SIGTERM", { forget: true });
      await until("it subscribes again", () => witness.subscribed > subscribed);
      fleet.goOn();
      await site.progress(50);
      await fleet.stop();
      await site.allAcknowledged();
      await sleep(CLOSE_MS);
      assert.deepEqual(witness.sessionsPresent, [false, false]);
      assertSound(await site.finish());
    });

    it("notices a half-open connection within keepAlive + answerWait", async (t) => {
      if (!requireTool(t, "mosquitto")) return;
      await using site = await openSite({
        protocolVersion,
        broker: "qos: 1\nkeepAlive: 2s\nanswerWait: 1s",
      });
      const fleet = site.startFleet(4);
      await site.progress(50);
      const { proxy } = site.station;
      const closes = proxy.clientCloses;
      const stalledAt = performance.now();
      proxy.stall();
      await until("it gives the connection up", () => proxy.clientCloses > closes, 10_000);
      const noticedMs = performance.now() - stalledAt;
      proxy.unstall();
      await site.progress(50);
      await fleet.stop();
      await site.allAcknowledged();
      await sleep(CLOSE_MS);
      t.diagnostic(`noticed after ${Math.round(noticedMs)} ms`);
      const statedMs = 2_000 + 1_000 + limits.keepAliveSweepMs;
      assert.ok(noticedMs <= statedMs + 1_000, `noticed after ${noticedMs} ms`); // a busy machine
      assert.equal((await site.status()).brokers[0]?.counters.halfOpen, 1);
      assertSound(await site.finish());
    });

    it("shares a load between two agents, each message once, though one is killed and one cut off", async (t) => {
      if (!requireTool(t, "mosquitto")) return;
      await using site = await openSite({
        protocolVersion,
        broker: "qos: 1\nshare: line",
        agents: 2,
      });
      const fleet = site.startFleet(8);
      const bothGoOn = (): Promise<unknown> =>
        Promise.all(site.stations.map((station) => site.progress(100, station)));
      await bothGoOn();
      const [first, second] = site.stations;
      await site.killAgent(first);
      second?.proxy.cut();
      await bothGoOn();
      await fleet.stop();
      await site.allAcknowledged();
      await sleep(CLOSE_MS);
      const counts = site.stations.map(({ witness }) => witness.acknowledged.size);
      t.diagnostic(`${counts.join(" and ")} readings`);
      assertSound(await site.finish());
    });
  });
}
