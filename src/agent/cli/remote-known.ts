/**
 * `weir remote status`: which document is in force in a data directory, and what became of others. Read
 * from there, beside a running agent or without one.
 */

import { existsSync } from "node:fs";
import { counted } from "../../core/counted.ts";
import { Fault } from "../../core/faults.ts";
import type { RemoteKey } from "../config/remote-config.ts";
import { readingDisk } from "../doors/disk.ts";
import { type AuditEntry, readAudit } from "../remote/audit-log.ts";
import { isFor, openDocument, readKept, type RemoteDocument } from "../remote/document.ts";
import { remotePaths } from "../remote/known.ts";
import { documentIn, readRemoteState } from "../remote/remote-state.ts";
import { dataPaths } from "../start.ts";
import { lookAsOwner } from "./act-as-owner.ts";
import { exitCodes } from "./command.ts";
import { readConfig } from "./configured.ts";
import { auditText, isoOf } from "./remote-text.ts";

type Where = {
  readonly directory: string;
  /** What the local file says; undefined where there is only a data directory. */
  readonly local: { readonly agent: string; readonly keys: readonly RemoteKey[] } | undefined;
};

type Known = {
  readonly highest: number;
  /** As it is kept: the one of a trial, or else the proven one. */
  readonly kept: RemoteDocument | undefined;
  readonly good: RemoteDocument | undefined;
  /** Starts with it so far; undefined: nothing is on trial. */
  readonly tries: number | undefined;
  /** Why the agent goes by the local file alone though a document is kept. */
  readonly unused: string | undefined;
  readonly audit: readonly AuditEntry[];
};

export async function showKnown({
  config,
  data,
  json,
  body,
}: {
  readonly config: string;
  readonly data?: string;
  readonly json: boolean;
  readonly body: boolean;
}): Promise<number> {
  const where =
    data === undefined ? await configuredIn(config) : { directory: data, local: undefined };
  if (data !== undefined && !existsSync(data)) {
    throw new Fault("INPUT_INVALID", `${data} is not there; point to it with --data or -c`);
  }
  const known = await knownIn(where);
  const inForce = known.unused === undefined ? known.kept : undefined;
  if (body) process.stdout.write(inForce?.body ?? "");
  else if (json) console.log(jsonText(known, inForce));
  else console.log(text(known, { inForce, where }));
  return exitCodes.ok;
}

async function configuredIn(file: string): Promise<Where> {
  const { agent, remote, dataDirectory } = await readConfig(file);
  return { directory: dataDirectory, local: { agent, keys: remote?.keys ?? [] } };
}

async function knownIn({ directory, local }: Where): Promise<Known> {
  const paths = remotePaths(dataPaths(directory).remote);
  const { state, audit } = await lookAsOwner(directory, async () => ({
    state: await readRemoteState(readingDisk, paths.state),
    audit: await readAudit(readingDisk, paths.audit),
  }));
  const text = documentIn(state);
  return {
    highest: state.highest,
    kept: text === undefined ? undefined : readKept(text),
    good: state.good === undefined ? undefined : readKept(state.good),
    tries: state.trial?.tries,
    unused: text === undefined ? undefined : unusedFor(text, local),
    audit,
  };
}

/** As the agent looks at it when it starts. */
function unusedFor(text: string, local: Where["local"]): string | undefined {
  if (local === undefined) return undefined;
  const opened = openDocument(new TextEncoder().encode(text), local.keys);
  if (opened.kind === "refused") return opened.reason;
  return isFor(opened.document, local.agent) ? undefined : `it is for ${opened.document.agent}`;
}

function jsonText({ highest, good, kept, tries, audit }: Known, inForce: Known["kept"]): string {
  const of = (document: RemoteDocument) => ({ version: document.version, agent: document.agent });
  const shown = {
    highest,
    good: good && of(good),
    trial: tries === undefined || kept === undefined ? undefined : { ...of(kept), tries },
    inForce: inForce && {
      ...of(inForce),
      digest: inForce.digest,
      issued: inForce.issued,
      expires: inForce.expires,
      body: inForce.body,
    },
    audit,
  };
  return JSON.stringify(shown, undefined, 2);
}

function text(
  { highest, kept, good, tries, unused, audit }: Known,
  { inForce, where }: { readonly inForce: Known["kept"]; readonly where: Where },
): string {
  const unborn = existsSync(where.directory)
    ? ""
    : `; no agent has started in ${where.directory} yet`;
  const trial = tries === undefined ? "" : `, on trial, ${counted(tries, "start")}`;
  return [
    `in force  ${inForce === undefined ? `the local file alone${unborn}` : `${documentText(inForce)}${trial}`}`,
    ...(unused === undefined || kept === undefined
      ? []
      : [`not used  version ${kept.version}: ${unused}`]),
    `proven    ${good === undefined ? "none: the local file alone" : `version ${good.version} for ${good.agent}`}`,
    `highest   ${highest === 0 ? "none was ever accepted" : `version ${highest} was accepted`}`,
    ...audit.map((entry) => `audit     ${auditText(entry)}`),
  ].join("\n");
}

/** `weir remote status --body` prints what it says. */
function documentText({ version, agent, digest, issued, body }: RemoteDocument): string {
  const sections = body.match(/^[a-z]+(?=:)/gm) ?? [];
  return `version ${version} for ${agent}, issued ${isoOf(issued)}, digest ${digest}: ${sections.join(", ")}`;
}
