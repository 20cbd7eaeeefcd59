/**
 * Some tests have a long form, which takes minutes: `npm test -- --long` runs them in it, and `npm test`
 * in a short one that goes through the same code in fewer worlds, deaths or seconds. A test file that
 * imports this, or seeds.ts, is one of them (tools/test.ts).
 */

/** Whether the long form is asked for. */
export const isLong: boolean = process.env["WEIR_TEST_LONG"] === "1";

/** How many: what the variable of the environment says, else `long` or `short`, as the form is. */
export function countOf(
  variable: string,
  { short, long }: { readonly short: number; readonly long: number },
): number {
  return Number(process.env[variable] ?? (isLong ? long : short));
}

/**
 * Each of `ones` with each of `others`, in order. In the short form each of `ones` once, with the next of
 * `others`, of which number `first` is the first: all of both are there, if `ones` are not fewer.
 */
export function pairsOf<One, Other>(
  ones: readonly One[],
  others: readonly Other[],
  first = 0,
): readonly (readonly [One, Other])[] {
  return ones.flatMap((one, index) => {
    const chosen = isLong ? others : [others[(first + index) % others.length]!];
    return chosen.map((other) => [one, other] as const);
  });
}
