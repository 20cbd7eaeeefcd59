/**
 * Units as types: numbers that must not be mixed up carry a brand. This is the one file of src/core
 * that uses `as`; a brand costs nothing at run time.
 */

declare const unit: unique symbol;
type Branded<Name extends string> = number & { readonly [unit]: Name };

/** Milliseconds since 1970-01-01T00:00:00Z; fractions are allowed. */
export type Millis = Branded<"Millis">;
/** Place in the log: increasing and gapless, starting at 0. Below 2^53. */
export type Position = Branded<"Position">;
/** Dense index of a series (one metric of one device). Never reused. */
export type SeriesId = Branded<"SeriesId">;
/** Dense index of a device (one tag set of one source). Never reused. */
export type DeviceId = Branded<"DeviceId">;
/** Dense index of a source (a named set of topics). Never reused. */
export type SourceId = Branded<"SourceId">;
/** Dense index of a symbol (a string that occurred as a value). 0 is "false", 1 is "true". */
export type SymbolId = Branded<"SymbolId">;

export const millis = (value: number): Millis => value as Millis;
export const position = (value: number): Position => value as Position;
export const seriesId = (value: number): SeriesId => value as SeriesId;
export const deviceId = (value: number): DeviceId => value as DeviceId;
export const sourceId = (value: number): SourceId => value as SourceId;
export const symbolId = (value: number): SymbolId => value as SymbolId;
