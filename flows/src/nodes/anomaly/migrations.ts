import { filledWith, type Migration, type Settings } from "../../migrations.ts";
import { streamDefaults } from "../stream-defaults.ts";

export const defaults: Settings = {
  name: "",
  ...streamDefaults,
  lambda: 0.2,
  sigmas: 3.5,
  warmup: 60,
  baseline: 0.01,
  sigmaMin: 0.01,
  rearm: 10,
};

export const migrations: readonly Migration[] = [filledWith(defaults)];
