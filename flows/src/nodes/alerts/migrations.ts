import { filledWith, type Migration, type Settings } from "../../migrations.ts";
import { placeDefaults } from "../place-defaults.ts";

export const defaults: Settings = { ...placeDefaults, pipeline: "", key: "" };

export const migrations: readonly Migration[] = [filledWith(defaults)];
