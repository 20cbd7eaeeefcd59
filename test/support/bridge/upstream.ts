/** The upstream half of an agent with a bridge, on simulated doors. */

import { limits } from "../../../src/core/limits.ts";
import type { ConnectBridge } from "../../../src/sync/mqtt/bridge-link.ts";
import { type MqttUplinkOptions, openMqttUplink } from "../../../src/sync/mqtt/mqtt-uplink.ts";
import {
  agent,
  type HalfOptions,
  openSimulatedHalf,
  type SimulatedHalf,
} from "../simulated-half.ts";

export async function openBridgeHalf(
  options: HalfOptions<ConnectBridge, MqttUplinkOptions>,
): Promise<SimulatedHalf> {
  const { connect, changes } = options;
  return await openSimulatedHalf(options, (doors) =>
    openMqttUplink({
      ...doors,
      name: "mqtt",
      url: "mqtt://broker.example",
      agent,
      topics: {
        summaries: "weir/{agent}/summary/{pipeline}",
        alerts: "weir/{agent}/alert/{pipeline}",
        raw: "weir/{agent}/raw",
      },
      retain: false,
      attributes: "cloudevents",
      connect,
      status: undefined,
      lingerMs: 0,
      freshForMs: Infinity,
      batchBytesMax: limits.bridgeBatchBytes,
      answerMs: limits.bridgeAnswerMs,
      ...changes,
    }),
  );
}
