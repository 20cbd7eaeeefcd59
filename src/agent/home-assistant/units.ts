/**
 * What Home Assistant is told of a number: its unit, and the class that unit implies. A unit is known
 * where the configuration gives it, or where the metric's name ends in one that can mean nothing else
 * (`temp_celsius`, `energy_kwh`). Nothing is guessed: `temperature` may be in Fahrenheit, and a name
 * that ends in `_c` or `_ms` may end so for many reasons.
 *
 * Classes and their units are those of Home Assistant's sensor documentation: it refuses a class beside
 * a unit that is none of its own, so a class is given only with one of these.
 */

/** Units that belong to one class of sensors. `%`, `ppm`, `rpm` and others belong to several, or to none. */
const classes: Readonly<Record<string, string>> = {
  "°C": "temperature",
  "°F": "temperature",
  W: "power",
  kW: "power",
  Wh: "energy",
  kWh: "energy",
  MWh: "energy",
  V: "voltage",
  mV: "voltage",
  A: "current",
  mA: "current",
  Hz: "frequency",
  kHz: "frequency",
  Pa: "pressure",
  hPa: "pressure",
  kPa: "pressure",
  mbar: "pressure",
  bar: "pressure",
  psi: "pressure",
  lx: "illuminance",
};

/** Last word of a metric's name to unit. */
const lastWords: Readonly<Record<string, string>> = {
  celsius: "°C",
  degc: "°C",
  fahrenheit: "°F",
  degf: "°F",
  watt: "W",
  watts: "W",
  kw: "kW",
  kwh: "kWh",
  mwh: "MWh",
  volt: "V",
  volts: "V",
  millivolts: "mV",
  ampere: "A",
  amperes: "A",
  milliamperes: "mA",
  hz: "Hz",
  hertz: "Hz",
  khz: "kHz",
  pascal: "Pa",
  hpa: "hPa",
  kpa: "kPa",
  mbar: "mbar",
  bar: "bar",
  psi: "psi",
  lux: "lx",
  percent: "%",
  pct: "%",
  ppm: "ppm",
  rpm: "rpm",
};

/** The unit of a metric's readings; undefined where it is not known. */
export function unitOf(
  metric: string,
  configured: Readonly<Record<string, string>>,
): string | undefined {
  if (Object.hasOwn(configured, metric)) return configured[metric];
  const words = metric.toLowerCase().split(/[^a-z]+/);
  const last = words.at(-1) ?? "";
  return words.length > 1 && Object.hasOwn(lastWords, last) ? lastWords[last] : undefined;
}

export type Measure = {
  readonly unit_of_measurement?: string;
  readonly device_class?: string;
  readonly state_class?: "measurement";
};

/**
 * Of a field of summaries, `unit` being that of the readings. Only a field that is a reading, or lies
 * between readings, is of their class; a sum has their unit and not their class, a variance and a count
 * have neither. Energy is never a `measurement` for Home Assistant, and whether it is a total nobody said.
 */
export function measureOf(field: string, unit: string | undefined): Measure {
  const measurement = { state_class: "measurement" } as const;
  if (unit === undefined || field === "count" || field === "variance") return measurement;
  if (field === "sum") return { unit_of_measurement: unit, ...measurement };
  const device = Object.hasOwn(classes, unit) ? classes[unit] : undefined;
  return {
    unit_of_measurement: unit,
    ...(device === undefined ? {} : { device_class: device }),
    ...(device === "energy" ? {} : measurement),
  };
}
