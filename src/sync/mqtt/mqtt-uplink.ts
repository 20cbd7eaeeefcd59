/**
 * The MQTT bridge: records to another broker, at least once (bridge-lane.ts), over one connection
 * (bridge-session.ts). Nothing of the client is loaded before a lane first connects.
 */

import type { Clock, Random } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { byLane, lanes } from "../../store/outbox/lane.ts";
import type { Via } from "../link/via.ts";
import { laneBatchBytes, type Uplink } from "../uplink.ts";
import { BridgeLane, type BridgeLaneOptions } from "./bridge-lane.ts";
import type { ConnectBridge } from "./bridge-link.ts";
import { createMessageMaker, type MessageMakerOptions } from "./bridge-message.ts";
import { freshOutbox } from "../at-least-once-state.ts";
import { BridgeSession, type BridgeStatus } from "./bridge-session.ts";

export type MqttUplinkOptions = MessageMakerOptions &
  Pick<BridgeLaneOptions, "url" | "batchBytesMax" | "answerMs" | "lingerMs" | "get"> & {
    /** Unique among the uplinks. */
    readonly name: string;
    readonly clock: Clock;
    readonly random: Random;
    readonly connect: ConnectBridge;
    readonly status: BridgeStatus | undefined;
    /** The links it goes over. */
    readonly over?: Via | undefined;
    /** See Uplink.freshForMs. */
    readonly freshForMs?: number;
  };

/** The uplink; it touches nothing before its lanes are opened. */
export function openMqttUplink(options: MqttUplinkOptions): Uplink {
  const { name, url, clock, random, connect, status, lingerMs, over: via } = options;
  const { batchBytesMax, answerMs, get, freshForMs = limits.freshForMs } = options;
  const session = new BridgeSession({
    url,
    clock,
    connect,
    answerMs,
    status,
    over: () => via?.linkOf("alerts"),
  });
  const make = createMessageMaker(options);
  let open = lanes.length;
  /** The last lane to let go closes the connection. */
  const onClosed = async (): Promise<void> => {
    open -= 1;
    if (open === 0) await session.close();
  };
  return {
    name,
    via,
    freshForMs,
    lanes: byLane(
      (lane) =>
        new BridgeLane({
          uplink: name,
          lane,
          url,
          clock,
          session,
          make,
          lingerMs: lane === "summaries" ? lingerMs : 0,
          batchBytesMax: laneBatchBytes(lane, batchBytesMax),
          answerMs,
          freshOutbox: () => freshOutbox(random),
          onClosed,
          get,
        }),
    ),
  };
}
