/** How the settings that nodes with a stream share begin, in the editor and in hand-written flows. */

export const streamDefaults = {
  keyProperty: "topic",
  valueProperty: "payload",
  timeFrom: "arrival",
  timeProperty: "time",
  keysMax: 1_000,
  forgetSeconds: 86_400,
  disorderSeconds: 0,
  idleSeconds: 60,
  futureSeconds: 600,
  store: "",
} as const;
