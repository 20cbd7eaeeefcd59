/**
 * `weir remote`: keys and signatures for configurations that are sent to agents, and what an agent has
 * made of them (remote-known.ts). keygen and sign need no agent.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { counted } from "../../core/counted.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { millisOfExpiry } from "../config/http-config.ts";
import { durationPattern, millisOf } from "../config/quantity.ts";
import { overlayFaults } from "../config/overlay-check.ts";
import {
  keyId,
  newKey,
  openDocument,
  privateKeyIn,
  publicTextOf,
  signDocument,
} from "../remote/document.ts";
import { showKnown } from "./remote-known.ts";
import { isoOf } from "./remote-text.ts";
import { exitCodes, parseOptions, refusePositionals, UsageError, wholeOption } from "./command.ts";

const actions = ["keygen", "sign", "status"] as const;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    out: { type: "string", short: "o" },
    key: { type: "string", short: "k" },
    name: { type: "string", default: "ops" },
    agent: { type: "string" },
    version: { type: "string" },
    expires: { type: "string" },
    "may-delete": { type: "boolean", default: false },
    config: { type: "string", short: "c", default: "weir.yaml" },
    data: { type: "string" },
    body: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  });
  const [first = "", ...rest] = positionals;
  const action = actions.find((known) => known === first);
  switch (action) {
    case "keygen":
      refusePositionals(rest);
      return keygen(values);
    case "sign":
      return await signFile(rest, values);
    case "status":
      refusePositionals(rest);
      return await showKnown(values);
    case undefined:
      throw new UsageError(`say one of ${actions.join(", ")}`);
  }
}

// ---- keys and signatures ----

/** The private key into a file that nobody else can read; never over one that is there. */
function keygen({ out, name }: { readonly out?: string; readonly name: string }): number {
  if (out === undefined) throw new UsageError("say where the private key shall be: --out FILE");
  if (!/^[a-z0-9_-]{1,64}$/.test(name)) {
    throw new UsageError("--name is a name of a-z, 0-9, _ and -");
  }
  const path = resolve(out);
  const { pem, publicKey } = newKey();
  try {
    writeFileSync(path, pem, { mode: 0o600, flag: "wx" });
  } catch (cause) {
    const code = codeOf(cause);
    const remedy = code === "EEXIST" ? "it is there already: name another" : "name another";
    throw new Fault("INPUT_INVALID", `cannot write ${path} (${code}); ${remedy}`, { cause });
  }
  console.error(`weir: the private key is in ${path}: whoever has it configures your agents`);
  console.log(`remote:\n  keys:\n    - { name: ${name}, key: ${JSON.stringify(publicKey)} }`);
  return exitCodes.ok;
}

async function signFile(
  [file, ...rest]: readonly string[],
  values: {
    readonly key?: string;
    readonly agent?: string;
    readonly version?: string;
    readonly expires?: string;
    readonly "may-delete": boolean;
    readonly out?: string;
  },
): Promise<number> {
  refusePositionals(rest);
  const { key: keyFile, agent, out } = values;
  if (file === undefined) throw new UsageError("say which file is to be signed");
  if (keyFile === undefined) throw new UsageError("say with which private key: --key FILE");
  if (agent === undefined)
    throw new UsageError("say for whom: --agent NAME, or a glob such as gw*");
  if (values.version === undefined) {
    throw new UsageError("say --version N, higher than that of the last one");
  }
  const version = wholeOption(values.version, { name: "--version", fallback: 0, min: 1 });
  const privateKey = privateKeyIn(bytesOf(keyFile));
  if (privateKey === undefined) {
    throw new Fault("INPUT_INVALID", `${keyFile} holds no private Ed25519 key in PEM`);
  }
  const body = bytesOf(file).toString("utf8");
  await refuseFaulty(file, body);
  const now = Date.now();
  const document = signDocument(
    {
      agent,
      version,
      issued: isoOf(now),
      expires: expiryOf(values.expires, now),
      mayDelete: values["may-delete"],
      body,
    },
    privateKey,
  );
  // What is signed here is taken there: the same code looks at it.
  const raw = Buffer.from(publicTextOf(privateKey), "base64");
  const opened = openDocument(document, [{ name: "own", raw }]);
  if (opened.kind === "refused") throw new Fault("INPUT_INVALID", `${file}: ${opened.reason}`);
  if (out === undefined) process.stdout.write(document);
  else writeFileSync(resolve(out), document);
  const about = `version ${version} for ${agent}, signed by ${keyId(raw)}, digest ${opened.document.digest}`;
  console.error(`weir: ${about}`);
  return exitCodes.ok;
}

/** What no agent takes is not signed. */
async function refuseFaulty(file: string, body: string): Promise<void> {
  const faults = await overlayFaults(body, file);
  if (faults.length === 0) return;
  for (const { text } of faults) console.error(text);
  const errors = counted(faults.length, "error");
  throw new Fault("CONFIG_INVALID", `${errors} in ${file}: no agent would take it`);
}

/** `30d` from now, or the last day, such as 2027-01-31. */
function expiryOf(text: string | undefined, now: number): string | undefined {
  if (text === undefined) return undefined;
  const until = durationPattern.test(text) ? now + millisOf(text) : millisOfExpiry(text);
  if (until === undefined) {
    throw new UsageError(
      `--expires is a day such as 2027-01-31, or a time such as 30d, not ${text}`,
    );
  }
  // A clock that is wrong here would sign what agents refuse, too.
  if (until <= now) {
    const message = `--expires ${text} has passed: it is ${isoOf(now)} here, and no agent would take it`;
    throw new UsageError(message);
  }
  return isoOf(until);
}

function bytesOf(file: string): Buffer {
  try {
    const bytes = readFileSync(file);
    if (bytes.length <= limits.remoteDocumentBytesMax) return bytes;
    throw new Fault(
      "INPUT_INVALID",
      `${file} is longer than ${limits.remoteDocumentBytesMax} bytes`,
    );
  } catch (cause) {
    if (!isEnvironmental(cause) || cause instanceof Fault) throw cause;
    throw new Fault("INPUT_INVALID", `cannot read ${file} (${cause.code})`, { cause });
  }
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
}
