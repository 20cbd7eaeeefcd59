/** `weir restore`: see backup.ts, which knows both ways. */

export { restore as run } from "./backup.ts";
