/** `weir token`: makes what clients of the HTTP side say. */

import { randomBytes } from "node:crypto";
import { millisOfExpiry } from "../config/http-config.ts";
import { digestOfToken, roles } from "../http/tokens.ts";
import { exitCodes, parseOptions, UsageError } from "./command.ts";

/** 256 bits. */
const TOKEN_BYTES = 32;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    name: { type: "string", default: "me" },
    role: { type: "string", default: "viewer" },
    expires: { type: "string" },
  });
  const { name, role, expires } = values;
  if (positionals.length !== 1 || positionals[0] !== "new") {
    throw new UsageError(
      "say new: tokens are kept nowhere but in the configuration, by their hash",
    );
  }
  if (!/^[a-z0-9_-]{1,64}$/.test(name)) {
    throw new UsageError("--name must be of a-z, 0-9, _ and -, at most 64");
  }
  if (!roles.some((known) => known === role)) {
    throw new UsageError(`--role must be one of ${roles.join(", ")}, not ${JSON.stringify(role)}`);
  }
  if (expires !== undefined && millisOfExpiry(expires) === undefined) {
    throw new UsageError("--expires is no time: a day as 2027-01-31, or 2027-01-31T12:00:00Z");
  }
  const token = `weir_${randomBytes(TOKEN_BYTES).toString("base64url")}`;
  const until = expires === undefined ? "" : `\n      expires: ${expires}`;
  console.error(`weir: the token, shown this once: keep it where only its user reads it, and put this into
the configuration:

http:
  tokens:
    - name: ${name}
      role: ${role}${until}
      tokenHash: sha256:${digestOfToken(token)}
`);
  // Alone, for `> dash.token` and pipes.
  console.log(token);
  return exitCodes.ok;
}
