import { judge } from "./judge.ts";

judge("5.0");
