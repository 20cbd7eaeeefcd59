/** The upstream half of an agent that posts to an endpoint, on simulated doors. */

import { limits } from "../../../src/core/limits.ts";
import type { ConnectHttp } from "../../../src/sync/http/http-connection.ts";
import { type HttpUplinkOptions, openHttpUplink } from "../../../src/sync/http/http-uplink.ts";
import {
  agent,
  type HalfOptions,
  openSimulatedHalf,
  type SimulatedHalf,
} from "../simulated-half.ts";

export async function openHttpHalf(
  options: HalfOptions<ConnectHttp, HttpUplinkOptions>,
): Promise<SimulatedHalf> {
  const { connect, changes } = options;
  return await openSimulatedHalf(options, ({ random, get }) =>
    openHttpUplink({
      name: "http",
      endpoint: { url: "https://in.example/records", isSecure: true },
      agent,
      format: "ndjson",
      compress: "none",
      random,
      connect,
      lingerMs: 0,
      freshForMs: Infinity,
      batchBytesMax: limits.postBatchBytes,
      get,
      ...changes,
    }),
  );
}
