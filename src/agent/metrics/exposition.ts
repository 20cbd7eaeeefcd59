/**
 * The Prometheus text exposition format, version 0.0.4: families of samples, each with HELP and TYPE
 * before its samples, label values escaped, numbers as Go reads them.
 * Source: "Exposition formats", prometheus.io/docs/instrumenting/exposition_formats.
 */

import { assert } from "../../core/assert.ts";

export type Labels = Readonly<Record<string, string>>;

export type Sample = {
  /** What follows the family's name: "" or, in histograms, _bucket, _sum, _count. */
  readonly suffix?: string;
  readonly labels?: Labels;
  readonly value: number;
};

export type Family = {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
};

export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Families without samples are left out; names must be unique. */
export function expositionOf(families: readonly Family[]): string {
  const names = new Set<string>();
  let text = "";
  for (const { name, type, help, samples } of families) {
    assert(/^[a-z_][a-z0-9_]*$/.test(name) && !names.has(name), "a metric's name is used once");
    names.add(name);
    if (samples.length === 0) continue;
    text += `# HELP ${name} ${escapedHelp(help)}\n# TYPE ${name} ${type}\n`;
    for (const { suffix = "", labels = {}, value } of samples) {
      text += `${name}${suffix}${labelText(labels)} ${numberText(value)}\n`;
    }
  }
  return text;
}

/**
 * Samples of a histogram. `counts` has one cell per bound and one for the rest, not cumulative;
 * bounds and sum are in the unit of the metric's name.
 */
export function histogramSamples(histogram: {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
  readonly labels?: Labels;
}): readonly Sample[] {
  const { bounds, counts, sum, labels = {} } = histogram;
  let cumulative = 0;
  const buckets = counts.map((count, index) => {
    cumulative += count;
    const le = numberText(bounds[index] ?? Number.POSITIVE_INFINITY);
    return { suffix: "_bucket", labels: { ...labels, le }, value: cumulative };
  });
  return [
    ...buckets,
    { suffix: "_sum", labels, value: sum },
    { suffix: "_count", labels, value: cumulative },
  ];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapedLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapedLabel(value: string): string {
  return value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}

function escapedHelp(help: string): string {
  return help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
