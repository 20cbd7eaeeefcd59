/**
 * The uplink that posts to an HTTP endpoint: at least once (http-lane.ts), each lane over a connection of
 * its own. Nothing of a client is loaded before a lane first has something to send.
 */

import type { Random } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { byLane } from "../../store/outbox/lane.ts";
import type { Via } from "../link/via.ts";
import { freshOutbox } from "../at-least-once-state.ts";
import { laneBatchBytes, type Uplink } from "../uplink.ts";
import { createPostMaker, type HttpFormat } from "./http-body.ts";
import { HttpLane, type HttpLaneOptions } from "./http-lane.ts";

export type HttpUplinkOptions = Pick<
  HttpLaneOptions,
  "endpoint" | "connect" | "lingerMs" | "batchBytesMax" | "get"
> & {
  /** Unique among the uplinks. */
  readonly name: string;
  /** Name of this gateway. */
  readonly agent: string;
  readonly format: HttpFormat;
  readonly compress: "gzip" | "none";
  readonly random: Random;
  /** The links it goes over. */
  readonly over?: Via | undefined;
  /** See Uplink.freshForMs. */
  readonly freshForMs?: number;
};

/** The uplink; it touches nothing before its lanes are opened. */
export function openHttpUplink(options: HttpUplinkOptions): Uplink {
  const { name, endpoint, connect, lingerMs, batchBytesMax, random, over: via, get } = options;
  const posts = createPostMaker(options);
  return {
    name,
    via,
    freshForMs: options.freshForMs ?? limits.freshForMs,
    lanes: byLane(
      (lane) =>
        new HttpLane({
          uplink: name,
          lane,
          endpoint,
          connect,
          posts,
          lingerMs: lane === "summaries" ? lingerMs : 0,
          batchBytesMax: laneBatchBytes(lane, batchBytesMax),
          freshOutbox: () => freshOutbox(random),
          get,
        }),
    ),
  };
}
