/** The agent's side of an uplink to an HTTP endpoint: what the configuration says. */

import { assert } from "../../core/assert.ts";
import { openHttpUplink } from "../../sync/http/http-uplink.ts";
import type { Uplink } from "../../sync/uplink.ts";
import type { PostUplinkConfig } from "../config/post-config.ts";
import { httpName } from "./endpoint.ts";
import type { UplinkParts } from "./uplink-parts.ts";

export function httpUplink(
  uplink: PostUplinkConfig,
  { config, doors, store, viaOf }: UplinkParts,
): Uplink {
  const { random, http } = doors;
  assert(http !== undefined, "an agent that posts has a door to do it");
  const via = viaOf(uplink.via, { isShared: false });
  const { url, address, host, path, headers, login, connectMs, answerMs } = uplink;
  const { format, compress, lingerMs, batchBytesMax } = uplink;
  const target = { shown: url, address, host, path, headers, login };
  return openHttpUplink({
    name: httpName(uplink),
    over: via,
    endpoint: { url, isSecure: address.tls !== undefined },
    agent: config.agent,
    format,
    compress,
    random,
    lingerMs,
    batchBytesMax,
    connect: (lane) => http.open({ target, connectMs, answerMs, wire: () => via?.wire(lane) }),
    get: (key) => store.get(key),
  });
}
