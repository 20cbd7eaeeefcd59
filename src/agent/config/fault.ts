/**
 * What is wrong with a configuration file: the place in the file, the path of the value, and a
 * sentence that says what was found and what is expected. Never holds the value of a secret.
 *
 *   weir.yaml:12:7: pipelines[1].window.tumbling: expected a duration such as 10s, found the number 10
 */

/** Line and column of a value or key, both from 1. */
export type Place = { readonly line: number; readonly column: number };

/** Keys and list indexes from the root of the file. */
export type Path = readonly (string | number)[];

export type ConfigFault = Place & {
  readonly file: string;
  /** `pipelines[1].window.tumbling`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  /** All of it in one line: `file:line:column: path: message`. */
  readonly text: string;
};

/** A finding before it knows its file. `message` starts in lower case and has no full stop. */
export type Finding = {
  readonly path: Path;
  readonly message: string;
  /** Where it is when not where the path leads: syntax errors, missing keys. */
  readonly place?: Place;
  /** It is the key itself that is wrong: the place is the key's, not its value's. */
  readonly isKey?: true;
};

export function faultOf(
  file: string,
  { path, message, place }: Finding & { place: Place },
): ConfigFault {
  const name = nameOfPath(path);
  const where = `${file}:${place.line}:${place.column}`;
  const text = name === "" ? `${where}: ${message}` : `${where}: ${name}: ${message}`;
  return { file, line: place.line, column: place.column, path: name, message, text };
}

/** `sources[0].topics[2]`; keys that are no plain words are quoted. */
export function nameOfPath(path: Path): string {
  let name = "";
  for (const part of path) {
    if (typeof part === "number") name += `[${part}]`;
    else if (!/^[\w-]+$/.test(part)) name += `[${JSON.stringify(part)}]`;
    else name += name === "" ? part : `.${part}`;
  }
  return name;
}
