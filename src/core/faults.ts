/**
 * Environment failures: what failed, on what, and what to do. Expected outcomes are unions at the
 * place they occur, bugs are assertions; this is the third kind.
 */

export type FaultCode =
  | "CONFIG_INVALID"
  | "CONNECT_FAILED"
  | "TLS_FILE_UNUSABLE"
  | "PORT_IN_USE"
  | "ADDRESS_UNAVAILABLE"
  | "DIRECTORY_NOT_WRITABLE"
  | "DIRECTORY_IN_USE"
  | "DISK_FULL"
  | "DISK_FAILED"
  | "LOG_POISONED"
  | "LOG_CORRUPT"
  | "STORE_FAILED"
  | "OUTBOX_FULL"
  | "UPLINK_UNREACHABLE"
  | "UPLINK_LOGIN_REFUSED"
  | "UPLINK_RIGHT_MISSING"
  | "UPLINK_REFUSED"
  | "IDENTITY_IN_USE"
  | "FORMAT_TOO_NEW"
  | "FORMAT_UNKNOWN"
  | "STATE_MISMATCH"
  | "LISTENER_NOT_SECURED"
  | "USERS_FILE_UNUSABLE"
  | "INPUT_INVALID"
  | "AGENT_UNREACHABLE";

/** An environment failure. `message` is one sentence for a person; `facts` are for logs. */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly code: FaultCode;
  readonly facts: Readonly<Record<string, string | number>>;

  constructor(
    code: FaultCode,
    message: string,
    options: {
      readonly cause?: unknown;
      readonly facts?: Readonly<Record<string, string | number>>;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.facts = options.facts ?? {};
  }
}

/**
 * Whether the environment failed: a Fault, or the code of a system call (ENOSPC, EIO, ...). Anything
 * else, Node's own ERR_* among it, is a bug: whoever caught it throws it on.
 */
export function isEnvironmental(error: unknown): error is Error & { readonly code: string } {
  if (!(error instanceof Error) || !("code" in error)) return false;
  return typeof error.code === "string" && !error.code.startsWith("ERR_");
}
