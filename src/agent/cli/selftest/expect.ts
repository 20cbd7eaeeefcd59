/** What a check found wrong, as a sentence: no stack is needed to understand it. */
export class SelftestFailed extends Error {
  override readonly name = "SelftestFailed";
}

export function expect(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new SelftestFailed(otherwise);
}
