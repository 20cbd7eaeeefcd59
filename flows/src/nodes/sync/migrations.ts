import { filledWith, type Migration, type Settings } from "../../migrations.ts";

export const defaults: Settings = { name: "", agent: "", everySeconds: 0 };

export const migrations: readonly Migration[] = [filledWith(defaults)];
