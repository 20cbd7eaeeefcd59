/** What a person should know of listeners and of our certificates; see notices.ts. */

import { counted } from "../../core/counted.ts";
import type { CertificateStatus } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import type { ListenerStatus } from "../ingest/mqtt/front/listeners.ts";
import type { Notice } from "./notice.ts";
import type { Status } from "../status.ts";

const DAY_MS = 86_400_000;

/** `now` by the wall clock, ms. */
export function certificateNotices(
  { file, expires, trouble }: CertificateStatus,
  now: number,
): readonly Notice[] {
  const notices: Notice[] = [];
  if (trouble !== undefined) {
    notices.push({ code: `certificate_trouble_${file}`, message: trouble });
  }
  const leftMs = expires - now;
  if (leftMs <= limits.certificateNoticeMs) {
    const remedy = "put a new one there, weir takes it without a restart";
    const message = `the certificate ${file} ${whenOf(leftMs)}: ${remedy}`;
    notices.push({ code: `certificate_expires_${file}`, message });
  }
  return notices;
}

export function tokenNotices(http: Status["http"], now: number): readonly Notice[] {
  return (http?.tokens ?? []).flatMap(({ name, expires }) => {
    if (expires === undefined || expires - now > limits.certificateNoticeMs) return [];
    const message = `the HTTP token ${name} ${whenOf(expires - now)}: weir token new makes another`;
    return [{ code: `token_expires_${name}`, message }];
  });
}

export function listenerNotices({ host, port, handshakes }: ListenerStatus): readonly Notice[] {
  if (handshakes === undefined) return [];
  const notices: Notice[] = [];
  const where = `${host}:${port}`;
  const add = (kind: string, count: number, message: () => string): void => {
    if (count > 0) notices.push({ code: `handshakes_${kind}_${where}`, message: message() });
  };
  const { refused, crowdedOut, timedOut, lastRefusal } = handshakes;
  add(
    "refused",
    refused,
    () =>
      `${refused} peers were refused at ${where} before they could speak MQTT, the last from ${lastRefusal ?? "?"}`,
  );
  add(
    "slow",
    timedOut,
    () => `${timedOut} peers at ${where} did not get through TLS and WebSocket in time`,
  );
  add(
    "crowded",
    crowdedOut,
    () => `${crowdedOut} peers at ${where} were closed because too many came at once`,
  );
  return notices;
}

function whenOf(leftMs: number): string {
  const days = Math.floor(Math.abs(leftMs) / DAY_MS);
  return leftMs <= 0 ? `expired ${counted(days, "day")} ago` : `expires in ${counted(days, "day")}`;
}
