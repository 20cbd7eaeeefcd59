/**
 * A configuration that travels: some sections of weir.yaml, for whom and which version, signed.
 *
 *   weir-config 1 <key> <signature>\n         16 hexadecimal digits; Ed25519 (RFC 8032) in base64
 *   {"agent":"gw*","version":7,"issued":"2026-11-29T11:00:00Z","expires":"2026-12-29T11:00:00Z"}\n
 *                                               where it may delete what is kept: ,"mayDelete":true
 *   pipelines:                                  YAML
 *     - ...
 *
 * Signed is the text `weir-config 1\n` and then every byte behind the first line, as it is: nothing is
 * parsed before the signature is right, and nothing is normalised. Whatever the bytes are, they end as
 * one of the kinds of `Opened`.
 */

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import * as v from "valibot";
import { globOf } from "../../core/glob.ts";
import { limits } from "../../core/limits.ts";
import { millisOfText } from "../ingest/decode/time.ts";
import type { RemoteKey } from "../config/remote-config.ts";

export type RemoteDocument = {
  /** A glob over names of agents. */
  readonly agent: string;
  /** Rises from one document to the next. */
  readonly version: number;
  /** Milliseconds since 1970. */
  readonly issued: number;
  /** It is not accepted later; absent: for ever. */
  readonly expires: number | undefined;
  /** Who signed it means it, should the agent keep less with it (losses.ts). */
  readonly mayDelete: boolean;
  /** YAML: sections by name. */
  readonly body: string;
  /** Name of the key that signed it. */
  readonly key: string;
  /** Of the whole document, 16 hexadecimal digits: tells documents apart. */
  readonly digest: string;
  /** The whole of it, to be kept and verified again. */
  readonly text: string;
};

/** Whether it is for the agent of this name. */
export function isFor(document: Pick<RemoteDocument, "agent">, agent: string): boolean {
  return globOf(document.agent)(agent);
}

export type OpenFault = "malformed" | "unknown_key" | "bad_signature";

export type Opened =
  | { readonly kind: "document"; readonly document: RemoteDocument }
  | {
      readonly kind: "refused";
      readonly code: OpenFault;
      readonly reason: string;
      readonly digest: string;
    };

const domain = "weir-config 1";

/** Verifies, and only then reads. */
export function openDocument(bytes: Uint8Array, keys: readonly RemoteKey[]): Opened {
  const digest = digestOf(bytes);
  const refused = (code: OpenFault, reason: string): Opened => ({
    kind: "refused",
    code,
    reason,
    digest,
  });
  if (bytes.length > limits.remoteDocumentBytesMax) {
    return refused("malformed", `longer than ${limits.remoteDocumentBytesMax} bytes`);
  }
  const end = bytes.indexOf(0x0a);
  const first = Buffer.from(bytes.subarray(0, Math.max(end, 0))).toString("latin1");
  const [, id = "", signature = ""] =
    /^weir-config 1 ([0-9a-f]{16}) ([A-Za-z0-9+/]{86}==)$/.exec(first) ?? [];
  if (id === "")
    return refused("malformed", "its first line is not that of a signed configuration");
  const key = keys.find(({ raw }) => keyId(raw) === id);
  if (key === undefined) {
    return refused("unknown_key", `it is signed by ${id}, which is none of remote.keys`);
  }
  // Else one signature could be written in several ways, each with a digest of its own.
  const raw = Buffer.from(signature, "base64");
  if (raw.toString("base64") !== signature) {
    return refused("malformed", "its signature is not base64 as weir remote sign writes it");
  }
  const signed = bytes.subarray(end + 1);
  const isRight = verify(undefined, signedBytes(signed), publicKeyOf(key.raw), raw);
  if (!isRight) {
    return refused("bad_signature", `the signature is not that of ${key.name} for what it says`);
  }
  return readSigned(bytes, { end, key: key.name, digest });
}

/**
 * What a kept document says of itself. Not verified: the agent did that before it kept it, and does it again
 * at each start. Undefined where it is none.
 */
export function readKept(text: string): RemoteDocument | undefined {
  const bytes = new TextEncoder().encode(text);
  const read = readSigned(bytes, { end: bytes.indexOf(0x0a), key: "", digest: digestOf(bytes) });
  return read.kind === "document" ? read.document : undefined;
}

function readSigned(
  bytes: Uint8Array,
  { end, key, digest }: { readonly end: number; readonly key: string; readonly digest: string },
): Opened {
  const malformed = (reason: string): Opened => ({
    kind: "refused",
    code: "malformed",
    reason,
    digest,
  });
  let text: string;
  let header: v.InferOutput<typeof headerSchema>;
  let bodyAt: number;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    bodyAt = text.indexOf("\n", end + 1) + 1;
    if (bodyAt === 0) return malformed("it ends with its second line");
    const parsed = v.safeParse(headerSchema, JSON.parse(text.slice(end + 1, bodyAt - 1)));
    if (!parsed.success) return malformed(`its second line: ${parsed.issues[0].message}`);
    header = parsed.output;
  } catch {
    return malformed("its second line is no JSON, or it is no UTF-8");
  }
  const { agent, version, issued, expires, mayDelete } = header;
  const body = text.slice(bodyAt);
  return {
    kind: "document",
    document: { agent, version, issued, expires, mayDelete, body, key, digest, text },
  };
}

const time = v.pipe(
  v.string("a time"),
  v.check((value) => !Number.isNaN(millisIn(value)), "a time such as 2026-11-29T11:00:00Z"),
  v.transform(millisIn),
);

/** NaN for what is no time with its zone. */
function millisIn(text: string): number {
  const bytes = Buffer.from(text);
  return millisOfText(bytes, 0, bytes.length, false);
}

const headerSchema = v.strictObject({
  agent: v.pipe(v.string("agent is a text"), v.nonEmpty(), v.maxLength(limits.remoteGlobMax)),
  version: v.pipe(
    v.number("version is a number"),
    v.safeInteger("version is a whole number"),
    v.minValue(1, "version is at least 1"),
  ),
  issued: time,
  expires: v.exactOptional(time),
  mayDelete: v.exactOptional(v.boolean("mayDelete is true or false"), false),
});

// ---- signing ----

export type Unsigned = {
  readonly agent: string;
  readonly version: number;
  /** As RFC 3339 has it. */
  readonly issued: string;
  readonly expires: string | undefined;
  /** Absent: no. */
  readonly mayDelete?: boolean;
  readonly body: string;
};

/** The whole document. */
export function signDocument({ body, ...header }: Unsigned, privateKey: KeyObject): Buffer {
  const { agent, version, issued, expires, mayDelete = false } = header;
  const line = JSON.stringify({
    agent,
    version,
    issued,
    ...(expires === undefined ? {} : { expires }),
    // Not where it may not: older agents know no such field.
    ...(mayDelete ? { mayDelete } : {}),
  });
  const signed = Buffer.from(`${line}\n${body}`);
  const signature = sign(undefined, signedBytes(signed), privateKey).toString("base64");
  const id = keyId(rawOf(createPublicKey(privateKey)));
  return Buffer.concat([Buffer.from(`${domain} ${id} ${signature}\n`), signed]);
}

function signedBytes(behindFirstLine: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${domain}\n`), behindFirstLine]);
}

// ---- keys ----

/** A new key: the private one in PEM (PKCS 8), the public one as `remote.keys` has it. */
export function newKey(): { readonly pem: string; readonly publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    pem: privateKey.export({ format: "pem", type: "pkcs8" }),
    publicKey: Buffer.from(rawOf(publicKey)).toString("base64"),
  };
}

/** Undefined where it is no private Ed25519 key in PEM. */
export function privateKeyIn(pem: Uint8Array): KeyObject | undefined {
  try {
    const key = createPrivateKey({ key: Buffer.from(pem), format: "pem" });
    return key.asymmetricKeyType === "ed25519" ? key : undefined;
  } catch {
    return undefined;
  }
}

/** Of a private key, as `remote.keys` has it. */
export function publicTextOf(privateKey: KeyObject): string {
  return Buffer.from(rawOf(createPublicKey(privateKey))).toString("base64");
}

export function keyId(raw: Uint8Array): string {
  return createHash("sha256").update(raw).digest("hex").slice(0, 16);
}

function rawOf(publicKey: KeyObject): Uint8Array {
  return Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
}

function publicKeyOf(raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}
