import {readFileSync} from "node:fs";
import {parseConfig} from "./src/agent/config/parse.ts";
const f=process.argv[2]!;
const o=await parseConfig(readFileSync(f,"utf8"),{file:f,cwd:process.cwd(),env:process.env,readFile:(p)=>readFileSync(p,"utf8")});
if(o.kind==="faults") for(const x of o.faults) console.log(x.text); else console.log(JSON.stringify(o,undefined,1));
if (o.kind==="config") { const {explain}=await import("./src/agent/config/explain.ts"); console.log(explain(o.config)); console.log(o.warnings)}
