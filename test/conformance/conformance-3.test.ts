import { judge } from "./judge.ts";

judge("3.1.1");
