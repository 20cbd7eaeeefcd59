/**
 * `weir remote`: keys and signatures for configurations that are sent to agents, and what an agent has
 * made of them. keygen and sign need no agent; status reads the data directory, beside a running agent
 * or without one.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { millisOfExpiry } from "../config/http-config.ts";
import { durationPattern, millisOf } from "../config/quantity.ts";
import { overlayFaults } from "../config/overlay-check.ts";
import { readingDisk } from "../doors/disk.ts";
import { type AuditEntry, readAudit } from "../remote/audit-log.ts";
import {
  keyId,
  newKey,
  openDocument,
  privateKeyIn,
  publicTextOf,
  signDocument,
} from "../remote/document.ts";
import { remotePaths } from "../remote/remote.ts";
import { readRemoteState, type RemoteState } from "../remote/remote-state.ts";
import { dataPaths } from "../start.ts";
import { auditText, isoOf } from "./remote-text.ts";
import { exitCodes, parseOptions, refusePositionals, UsageError, wholeOption } from "./command.ts";
import { readConfig } from "./configured.ts";

const actions = ["keygen", "sign", "status"] as const;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    out: { type: "string", short: "o" },
    key: { type: "string", short: "k" },
    name: { type: "string", default: "ops" },
    agent: { type: "string" },
    version: { type: "string" },
    expires: { type: "string" },
    config: { type: "string", short: "c", default: "weir.yaml" },
    data: { type: "string" },
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
      return await showStatus(values);
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
    { agent, version, issued: isoOf(now), expires: expiryOf(values.expires, now), body },
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
  const errors = faults.length === 1 ? "1 error" : `${faults.length} errors`;
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

// ---- what became of them ----

async function showStatus({
  config,
  data,
  json,
}: {
  readonly config: string;
  readonly data?: string;
  readonly json: boolean;
}): Promise<number> {
  const directory = data ?? (await readConfig(config)).dataDirectory;
  if (!existsSync(directory)) {
    throw new Fault("INPUT_INVALID", `${directory} is not there; point to it with --data or -c`);
  }
  const paths = remotePaths(dataPaths(directory).remote);
  const state = await readRemoteState(readingDisk, paths.state);
  const audit = await readAudit(readingDisk, paths.audit);
  const shown = { highest: state.highest, good: headOf(state.good), trial: trialOf(state), audit };
  console.log(json ? JSON.stringify(shown, undefined, 2) : statusText(shown));
  return exitCodes.ok;
}

type Head = { readonly version: number; readonly agent: string };

/** What a kept document says of itself; the agent verified it before it was kept. */
function headOf(text: string | undefined): Head | undefined {
  const line = text?.split("\n", 2)[1];
  if (line === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const { version, agent } = Object.fromEntries(Object.entries(parsed));
    return { version: Number(version), agent: String(agent) };
  } catch {
    return undefined;
  }
}

function trialOf({ trial }: RemoteState): (Head & { readonly tries: number }) | undefined {
  const head = headOf(trial?.text);
  return head === undefined || trial === undefined ? undefined : { ...head, tries: trial.tries };
}

function statusText({
  highest,
  good,
  trial,
  audit,
}: {
  readonly highest: number;
  readonly good: Head | undefined;
  readonly trial: (Head & { readonly tries: number }) | undefined;
  readonly audit: readonly AuditEntry[];
}): string {
  return [
    `proven    ${good === undefined ? "none: the local file alone" : `version ${good.version} for ${good.agent}`}`,
    ...(trial === undefined
      ? []
      : [`on trial  version ${trial.version} for ${trial.agent}, ${trial.tries} starts`]),
    `highest   ${highest === 0 ? "none was ever accepted" : `version ${highest} was accepted`}`,
    ...audit.map((entry) => `audit     ${auditText(entry)}`),
  ].join("\n");
}
