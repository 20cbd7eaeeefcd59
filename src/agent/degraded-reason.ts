/**
 * Why an agent is degraded, by name: for programs that read /readyz, /v1/status or /metrics, and for
 * whoever decides whether it is worth to wait for the disk.
 *
 *   disk_full          no space on the disk, or no quota
 *   disk_read_only     the file system is mounted read-only, or became so after an error
 *   disk_failed        the device answers with errors, or is gone
 *   log_full           the log is as large as limits.log allows; a checkpoint will free some of it
 *   state_store_full   the state store is as large as the budget allows
 *   tables_unreadable  tables cannot be read from the disk
 *   outbox_full        the outbox waits for an uplink
 *   uplink_halted      an uplink has stopped for good and says why
 *   failed             anything else; its sentence says what
 */

export const degradedNames = [
  "disk_full",
  "disk_read_only",
  "disk_failed",
  "log_full",
  "state_store_full",
  "tables_unreadable",
  "outbox_full",
  "uplink_halted",
  "failed",
] as const;

export type DegradedName = (typeof degradedNames)[number];

export type DegradedReason = {
  readonly name: DegradedName;
  /** One sentence for a person. */
  readonly message: string;
};
