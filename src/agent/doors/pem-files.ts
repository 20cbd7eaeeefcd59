/**
 * Certificates and keys as files hold them, in PEM: read with a bound, checked before they are used,
 * because whoever gets an expired certificate or a wrong key closes the connection and says little.
 *
 * Messages name the file and what to do, never what is in it.
 */

import { createPrivateKey, hash, type KeyObject, X509Certificate } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { Fault, type FaultCode } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";

/** A file to read. */
export type FileSource = {
  /** What it is, as it is called in messages: "the client key". */
  readonly noun: string;
  readonly path: string;
  readonly bytesMax: number;
  /** Of the faults that name it. */
  readonly code: FaultCode;
};

export type ReadFile = FileSource & { readonly bytes: Buffer };

/** A certificate with those between it and its authority, a key, a token. */
export const secretBytesMax: number = limits.secretCharactersMax;
/** The authorities that come with an operating system are about 220 KiB. */
export const authoritiesBytesMax: number = 16 * secretBytesMax; // 1 MiB

/** Tells files apart; of what is in them it tells nothing. */
export function digest(bytes: Uint8Array): string {
  return hash("sha256", bytes, "base64");
}

/** By path. */
export function digestsOf(files: readonly ReadFile[]): Map<string, string> {
  return new Map(files.map(({ path, bytes }) => [path, digest(bytes)]));
}

// ---- what is in them ----

/** At least one. Throws a Fault. */
export function certificatesIn(file: ReadFile): readonly X509Certificate[] {
  const parts = file.bytes.toString("latin1").split(/(?=-----BEGIN )/);
  const blocks = parts.filter((part) => /^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/.test(part));
  if (blocks.length === 0) throw refusal(file, "holds no certificate in PEM: put one there");
  return blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      const problem = "holds a certificate that is damaged or cut off: write the file again";
      throw refusal(file, problem, cause);
    }
  });
}

/** `passphrase` is that of the configuration; `locked` says what to do where there is none. Throws a Fault. */
export function privateKeyIn(
  file: ReadFile,
  { passphrase, locked }: { readonly passphrase: string | undefined; readonly locked: string },
): KeyObject {
  if (!file.bytes.includes("PRIVATE KEY-----")) {
    throw refusal(file, "holds no private key in PEM: put one there");
  }
  // Said in the first lines: "ENCRYPTED PRIVATE KEY", or in the older form "Proc-Type: 4,ENCRYPTED".
  const isEncrypted = file.bytes.includes("ENCRYPTED");
  if (isEncrypted && passphrase === undefined) {
    throw refusal(file, `is encrypted: ${locked}`);
  }
  try {
    return createPrivateKey({ key: file.bytes, format: "pem", passphrase });
  } catch (cause) {
    const problem = isEncrypted
      ? "cannot be read with the passphrase that is set: correct it, or write the file again"
      : "is damaged or cut off: write the file again";
    throw refusal(file, problem, cause);
  }
}

/** Throws a Fault where the first certificate of a file is not of this key. */
export function assertPair(key: ReadFile, privateKey: KeyObject, certificate: ReadFile): void {
  const [own] = certificatesIn(certificate);
  if (own?.checkPrivateKey(privateKey) === true) return;
  const remedy = "put the two that belong together there";
  throw refusal(key, `does not fit the certificate ${certificate.path}: ${remedy}`);
}

/** The fault, if the certificate is not valid at this time of the gateway's clock. */
export function untimely(
  file: ReadFile,
  { validFromDate, validToDate }: X509Certificate,
  nowMs: number,
): Fault | undefined {
  const clock = `this gateway's clock says ${isoOf(nowMs)}`;
  if (nowMs > validToDate.getTime()) {
    const when = `expired on ${isoOf(validToDate)}`;
    return refusal(file, `${when}, and ${clock}: renew it, unless the clock is ahead`);
  }
  if (nowMs < validFromDate.getTime()) {
    const when = `is not valid before ${isoOf(validFromDate)}`;
    return refusal(file, `${when}, and ${clock}: set the clock, unless it is right`);
  }
  return undefined;
}

/**
 * The fault, if none of the authorities is valid at this time: collections hold some that have expired,
 * and one that is valid may be the one. Throws a Fault where there is no authority at all.
 */
export function untimelyAuthorities(file: ReadFile, nowMs: number): Fault | undefined {
  const faults = certificatesIn(file).map((authority) => untimely(file, authority, nowMs));
  return faults.every((fault) => fault !== undefined) ? faults[0] : undefined;
}

/** To the second: certificates know no more. */
function isoOf(time: number | Date): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
}

// ---- files ----

/** All of the file. Rejects with a Fault. */
export async function bytesOf(source: FileSource): Promise<Buffer> {
  const { path, bytesMax } = source;
  let bytes: Buffer | undefined;
  try {
    bytes = await firstBytes(path, bytesMax + 1);
  } catch (cause) {
    const code = codeOf(cause);
    const remedy = remedies[code] ?? "check the path, and who may read it";
    throw refusal(source, `cannot be read (${code}): ${remedy}`, cause);
  }
  if (bytes === undefined) throw refusal(source, "is not a file: correct the path");
  if (bytes.length <= bytesMax) return bytes;
  throw refusal(source, `is longer than ${bytesMax / 1024} KiB: correct the path`);
}

const remedies: Readonly<Record<string, string>> = {
  ENOENT: "put it there, or correct the path",
  ENOTDIR: "a part of the path is a file; correct the path",
  EACCES: "give the user that runs weir the right to read it",
  EPERM: "give the user that runs weir the right to read it",
};

/** Undefined for what is not a file: opening a pipe would wait for whoever writes to it. */
async function firstBytes(path: string, count: number): Promise<Buffer | undefined> {
  if (!(await stat(path)).isFile()) return undefined;
  await using file = await open(path, "r");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(count), 0, count, 0);
  return Buffer.from(buffer.subarray(0, bytesRead));
}

/** The fault of a file that cannot be used for what it is. */
export function refusal({ noun, path, code }: FileSource, problem: string, cause?: unknown): Fault {
  const facts = { path };
  return new Fault(code, `${noun} ${path} ${problem}`, { cause, facts });
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}
