import { filledWith, type Migration, type Settings } from "../../migrations.ts";
import { streamDefaults } from "../stream-defaults.ts";

export const defaults: Settings = {
  name: "",
  ...streamDefaults,
  method: "top",
  itemProperty: "payload",
  periodSeconds: 60,
  topCount: 10,
  errorPercent: 0.1,
};

export const migrations: readonly Migration[] = [filledWith(defaults)];
