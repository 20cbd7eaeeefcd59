/**
 * A node:test reporter that speaks of what needs attention: failures in full, skips with their
 * reason, what tests print, and one line of totals with the slowest tests.
 */

import { relative } from "node:path";
import { inspect } from "node:util";
import type { TestEvent } from "node:test/reporters";

type Timed = { readonly title: string; readonly ms: number };

const slowestShown = 5;
const slowMsMin = 1_000;

// node:test takes a reporter by its default export.
// oxlint-disable-next-line import/no-default-export
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const startedAt = performance.now();
  const timed: Timed[] = [];
  const failed: string[] = [];
  let failedAt = "";
  let passed = 0;
  let skipped = 0;

  for await (const { type, data } of events) {
    // The other events are of no interest here.
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check
    switch (type) {
      case "test:pass": {
        if (data.details.type === "suite") break;
        const title = titleOf(data);
        if (data.skip !== undefined || data.todo !== undefined) {
          skipped++;
          yield `skip  ${title}: ${String(data.skip ?? data.todo)}\n`;
          break;
        }
        failedAt = "";
        passed++;
        timed.push({ title, ms: data.details.duration_ms });
        break;
      }
      case "test:fail": {
        const title = titleOf(data);
        if (failsBySubtest(data.details.error)) break;
        failed.push(title);
        failedAt = placeOf(data);
        yield `FAIL  ${title}\n${indent(describe(data.details.error))}\n`;
        break;
      }
      // Comes after the result: what a failed test says of itself, such as how to repeat it.
      case "test:diagnostic":
        if (placeOf(data) === failedAt) yield indent(data.message) + "\n";
        break;
      case "test:stdout":
      case "test:stderr":
        yield data.message;
        break;
      case "test:coverage":
        yield `coverage: ${data.summary.totals.coveredLinePercent.toFixed(1)} % of lines\n`;
        break;
      default:
        break;
    }
  }

  for (const { title, ms } of slowest(timed)) yield `slow  ${(ms / 1000).toFixed(1)} s  ${title}\n`;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  yield `${passed} passed, ${failed.length} failed, ${skipped} skipped in ${seconds} s\n`;
  for (const title of failed) yield `  failed: ${title}\n`;
}

function titleOf(data: { readonly name: string; readonly file?: string | undefined }): string {
  if (data.file === undefined) return data.name;
  const file = relative(process.cwd(), data.file);
  return data.name === file || data.name === data.file ? file : `${file}: ${data.name}`;
}

/** Where a test stands. */
function placeOf(data: {
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}): string {
  return `${data.file}:${data.line}:${data.column}`;
}

/** A parent that fails only because a child did says nothing new. */
function failsBySubtest(error: unknown): boolean {
  return error instanceof Error && "failureType" in error && error.failureType === "subtestsFailed";
}

function describe(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  if (typeof cause === "string") return cause;
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause);
  return text.replace(/\n +at .*node:internal.*/g, "");
}

function indent(text: string): string {
  return text.replace(/^/gm, "      ");
}

function slowest(timed: readonly Timed[]): readonly Timed[] {
  return timed
    .filter(({ ms }) => ms >= slowMsMin)
    .toSorted((a, b) => b.ms - a.ms)
    .slice(0, slowestShown);
}
