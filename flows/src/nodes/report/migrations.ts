import { filledWith, type Migration, type Settings } from "../../migrations.ts";

export const defaults: Settings = {
  name: "",
  keyProperty: "topic",
  valueProperty: "payload",
  mode: "absolute",
  band: 0.5,
  silenceSeconds: 900,
  keysMax: 1_000,
  forgetSeconds: 86_400,
  store: "",
};

export const migrations: readonly Migration[] = [filledWith(defaults)];
