/**
 * Edits to the source of the agent, made while Node loads it and nowhere else: marks that tell where
 * a run came through, and canaries, faults put in on purpose. So nothing of them is in the agent.
 *
 *   src/store/log/log.ts --load--> from -> to --strip types--> run
 *
 * An edit replaces one place that occurs exactly once; one that does not fit the source any more is
 * an error that names it, never an edit left out.
 */

import { registerHooks } from "node:module";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export type SourceEdit = {
  /** From the root of the repository. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
};

const root = resolve(import.meta.dirname, "../..");

/** The text with its edits. */
export function edited(text: string, edits: readonly SourceEdit[]): string {
  return edits.reduce((before, { file, from, to }) => {
    const at = before.indexOf(from);
    if (at < 0 || before.indexOf(from, at + 1) >= 0) {
      const how = at < 0 ? "is not there" : "is there more than once";
      throw new Error(`${file}: the place to edit ${how}: ${from}`);
    }
    return before.slice(0, at) + to + before.slice(at + from.length);
  }, text);
}

/** From now on files are loaded with their edits. */
export function editSources(edits: readonly SourceEdit[]): void {
  const byFile = Map.groupBy(edits, ({ file }) => file);
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context);
      if (!url.startsWith("file:")) return loaded;
      const of = byFile.get(relative(root, fileURLToPath(url)));
      if (of === undefined || loaded.source === undefined || loaded.source === null) return loaded;
      const text =
        typeof loaded.source === "string"
          ? loaded.source
          : Buffer.from(loaded.source as Uint8Array).toString();
      return { ...loaded, source: edited(text, of) };
    },
  });
}
