/**
 * Selectors: series by the names that the catalog gives them, with globs.
 *
 *   temperature{device=p1,line=a}     the metric, and tags that the device has, others beside them
 *   temp*{device=p*}                  * stands for any characters
 *   {line=a}                          any metric
 *   "a{b"{name="x=y"}                 what holds one of { } = , " is written as a JSON string
 *
 * So the name of a series selects that series, and those of devices with further tags.
 */

import type { WhereSpec } from "../../edge-ops/spec.ts";

export type ParsedSelector =
  | { readonly kind: "where"; readonly where: WhereSpec }
  /** The message names the place. */
  | { readonly kind: "malformed"; readonly message: string };

export function parseSelector(text: string): ParsedSelector {
  const scanner = new Scanner(text);
  const metric = scanner.name();
  const tags = new Map<string, string>();
  if (scanner.takes("{")) {
    while (!scanner.failed && !scanner.takes("}")) {
      const isNext = tags.size === 0 || scanner.takes(",");
      if (scanner.atEnd) scanner.fail('"}" is missing');
      if (!isNext) scanner.fail('"," or "}" is missing');
      const name = scanner.name() ?? scanner.fail("a tag's name is missing");
      scanner.expect("=");
      const glob = scanner.name() ?? scanner.fail(`${name} has no value: * stands for any`);
      if (tags.has(name)) scanner.fail(`${name} is there twice`);
      tags.set(name, glob);
    }
  }
  if (!scanner.atEnd) scanner.fail("more follows than metric{tag=value,...}");
  if (scanner.failed) return { kind: "malformed", message: scanner.message };
  const metrics = metric === undefined ? [] : [metric];
  return { kind: "where", where: { sources: [], metrics, tags: Object.fromEntries(tags) } };
}

/** Reads left to right; after the first mistake nothing fits any more. */
class Scanner {
  readonly #text: string;
  #at = 0;
  #mistake: string | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at === this.#text.length;
  }
  get failed(): boolean {
    return this.#mistake !== undefined;
  }
  get message(): string {
    return this.#mistake ?? "";
  }

  takes(sign: string): boolean {
    if (this.failed || this.#text[this.#at] !== sign) return false;
    this.#at += 1;
    return true;
  }

  expect(sign: string): void {
    if (!this.takes(sign)) this.fail(`${JSON.stringify(sign)} is missing`);
  }

  /** A quoted or plain piece; undefined where there is none. */
  name(): string | undefined {
    if (this.failed) return undefined;
    const rest = this.#text.slice(this.#at);
    const quoted = /^"(?:[^"\\]|\\.)*"/.exec(rest)?.[0];
    const piece = quoted ?? /^[^{}=,"]*/.exec(rest)?.[0] ?? "";
    this.#at += piece.length;
    if (quoted === undefined) return piece === "" ? undefined : piece;
    try {
      return String(JSON.parse(quoted));
    } catch {
      this.fail("this is no JSON string");
      return undefined;
    }
  }

  fail(what: string): "" {
    const text = JSON.stringify(this.#text);
    this.#mistake ??= `selector ${text}, after ${this.#at} characters: ${what}`;
    return "";
  }
}
