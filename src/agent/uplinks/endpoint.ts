/** An HTTP endpoint of the configuration: its name among the uplinks, and whether it can be reached. */

import { checksumOf } from "../../core/checksum.ts";
import type { Net } from "../../core/doors.ts";
import type { PostUplinkConfig } from "../config/post-config.ts";

/** Characters of an address in a name; it is part of a key of the state store. */
const addressNameMax = 120;

/** Where an uplink stands is kept under its name: another address is another uplink. */
export function httpName({ address: { host, port }, path }: PostUplinkConfig): string {
  const place = `${host}:${port}${path.replace(/\?.*$/s, "")}`;
  const isShort = encodeURIComponent(place).length <= addressNameMax;
  return `http:${isShort ? place : checksumOf(new TextEncoder().encode(place)).toString(16)}`;
}

/** Connects, TLS included, and sends nothing: a POST would be a delivery. Faults: as `Net.connect`. */
export async function reachEndpoint(
  { address, connectMs }: Pick<PostUplinkConfig, "address" | "connectMs">,
  { net, waitMs = Infinity }: { readonly net: Net; readonly waitMs?: number },
): Promise<void> {
  const socket = await net.connect(address, { waitMs: Math.min(connectMs, waitMs) });
  socket.start({ onBytes: () => undefined, onDrain: () => undefined, onClose: () => undefined });
  socket.destroy();
}
