/**
 * What an expression of PromQL asks for, as far as the names go: enough to hold a dashboard and rules
 * against an exposition. Its grammar is promtool's matter.
 */

export type Selector = {
  readonly metric: string;
  readonly labels: readonly {
    readonly name: string;
    readonly value: string;
    readonly isExact: boolean;
  }[];
};

/** Names of labels, each with the values it has; by the metric as it is asked for, suffix included. */
export type Series = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>;

/** Of an exposition in the text format. */
export function seriesOf(exposition: string): Series {
  const series = new Map<string, Map<string, Set<string>>>();
  for (const [, metric, labels = ""] of exposition.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = series.get(metric!) ?? new Map<string, Set<string>>();
    series.set(metric!, known);
    for (const [, name, value] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      known.set(name!, (known.get(name!) ?? new Set<string>()).add(value!));
    }
  }
  return series;
}

export function selectorsOf(expression: string): readonly Selector[] {
  return [...expression.matchAll(/\b(weir_\w+|ALERTS|up)\b(?:\{([^}]*)\})?/g)].map(
    ([, metric, matchers = ""]) => ({
      metric: metric!,
      labels: [...matchers.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].flatMap(
        ([, name, operator, value]) => {
          const isPattern = operator!.endsWith("~");
          const values = isPattern && /^[\w|]+$/.test(value!) ? value!.split("|") : [value!];
          const isExact = !isPattern || /^[\w|]+$/.test(value!);
          return values.map((one) => ({ name: name!, value: one, isExact }));
        },
      ),
    }),
  );
}

/** Labels that are left in the outermost result. */
export function labelsLeft(expression: string, series: Series): ReadonlySet<string> {
  const groups = [...expression.matchAll(/\bby\s*\(([^)]*)\)/g)];
  const first = groups[0];
  if (first !== undefined) return new Set(first[1]!.split(",").map((name) => name.trim()));
  const all = selectorsOf(expression).flatMap(({ metric }) => [
    ...(series.get(metric)?.keys() ?? []),
  ]);
  return new Set([...all, "instance", "job"]);
}

/** What is wrong with an expression and the labels that a text beside it names, as sentences. */
export function faultsOf(
  { expression, named }: { readonly expression: string; readonly named: string },
  series: Series,
): readonly string[] {
  const faults: string[] = [];
  const grouped = [...expression.matchAll(/\b(?:by|on|without|ignoring)\s*\(([^)]*)\)/g)].flatMap(
    ([, names]) => names!.split(",").map((name) => name.trim()),
  );
  const selectors = selectorsOf(expression);
  if (selectors.length === 0) faults.push("asks for nothing of weir's");
  for (const { metric, labels } of selectors) {
    const known = series.get(metric);
    if (known === undefined) {
      faults.push(`no agent has ${metric}`);
      continue;
    }
    for (const { name, value, isExact } of labels) {
      if (name === "instance" || name === "job") continue;
      const values = known.get(name);
      if (values === undefined) faults.push(`${metric} has no label ${name}`);
      else if (isExact && !values.has(value)) faults.push(`${metric} has no ${name}="${value}"`);
    }
    for (const name of grouped) {
      if (name !== "instance" && name !== "le" && !known.has(name)) {
        faults.push(`${metric} has no label ${name}`);
      }
    }
  }
  const left = labelsLeft(expression, series);
  for (const [, name] of named.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)) {
    if (!left.has(name!)) faults.push(`its result has no label ${name}`);
  }
  return faults;
}
