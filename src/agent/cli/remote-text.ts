/** Events of remote configurations for people. */

import type { AuditEntry } from "../remote/audit-log.ts";

/** One event in a line. */
export function auditText({
  at,
  kind,
  code,
  version,
  key,
  from,
  reason,
  digest,
}: AuditEntry): string {
  const what = `${kind.replace("_", " ")}${code === undefined ? "" : ` (${code})`}`;
  const which = version === undefined ? `document ${digest}` : `version ${version}`;
  const whose = key === undefined ? "" : ` by ${key}`;
  const where = from === undefined ? "" : ` from ${from}`;
  return `${isoOf(at)} ${what}: ${which}${whose}${where}${reason === undefined ? "" : `: ${reason}`}`;
}

export function isoOf(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
}
