/** The agent's side of a bridge to another broker: what the configuration says, and its status. */

import type { Wire } from "../../core/doors.ts";
import { checksumOf } from "../../core/checksum.ts";
import { connectMqtt } from "../../sync/mqtt/client/mqtt-js.ts";
import { bridgeTopic } from "../../sync/mqtt/bridge-message.ts";
import type { BridgeStatus } from "../../sync/mqtt/bridge-session.ts";
import { openMqttUplink } from "../../sync/mqtt/mqtt-uplink.ts";
import type { Uplink } from "../../sync/uplink.ts";
import type { BridgeUplinkConfig } from "../config/bridge-config.ts";
import { statusPayload } from "../own-topics/own-topics.ts";
import { version } from "../version.ts";
import type { UplinkParts } from "./uplink-parts.ts";

/** Characters of an address in a name; it is part of a key of the state store. */
const addressNameMax = 120;

export function mqttUplink(uplink: BridgeUplinkConfig, parts: UplinkParts): Uplink {
  const { config, doors, store, viaOf } = parts;
  const via = viaOf(uplink.via, { isShared: true });
  const { url, level, clientId, user, password, keepAliveMs, connectMs } = uplink;
  const { topics, retain, attributes, lingerMs, batchBytesMax, answerMs } = uplink;
  const { net, clock, random } = doors;
  const { address } = uplink;
  const wire = (): Wire | undefined => via?.wire("alerts");
  const client = { url, net, clock, address, level, clientId, user, password, wire };
  return openMqttUplink({
    name: bridgeName(uplink),
    over: via,
    url,
    agent: config.agent,
    topics,
    retain,
    attributes,
    clock,
    random,
    lingerMs,
    batchBytesMax,
    answerMs,
    connect: (options) => connectMqtt({ ...client, keepAliveMs, connectMs }, options),
    status: bridgeStatus(uplink, parts),
    get: (key) => store.get(key),
  });
}

function bridgeStatus(
  { topics, statusMs }: BridgeUplinkConfig,
  { config, doors, status }: UplinkParts,
): BridgeStatus | undefined {
  if (statusMs === undefined) return undefined;
  const { agent } = config;
  const startedAt = doors.clock.now();
  return {
    topic: bridgeTopic(topics.status, { agent, pipeline: "" }),
    everyMs: statusMs,
    payload: () => statusPayload(agent, { ...status(), time: doors.clock.now() }),
    offline: () =>
      statusPayload(agent, { state: "offline", version, startedAt, reasons: [], notices: [] }),
  };
}

/** Where a bridge stands is kept under its name: another broker is another bridge. */
function bridgeName({ address: { host, port } }: BridgeUplinkConfig): string {
  const place = `${host}:${port}`;
  const isShort = encodeURIComponent(place).length <= addressNameMax;
  return `mqtt:${isShort ? place : checksumOf(new TextEncoder().encode(place)).toString(16)}`;
}
