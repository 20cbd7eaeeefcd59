/** The schema of the `http` section; see schema.ts. */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import { roles } from "../http/tokens.ts";
import type { HttpSection } from "./http-section.ts";
import { tlsSchema } from "./listener-schema.ts";
import {
  anyText,
  choice,
  few,
  list,
  name,
  port,
  secret,
  secretText,
  section,
  type Value,
} from "./schema-parts.ts";

/** What `weir token new` prints of a token. */
export const tokenHashPattern: RegExp = /^sha256:[0-9a-f]{64}$/;

const hash = (about: string): Value<string> => {
  const expected = "sha256: and 64 hexadecimal digits, as weir token new prints it";
  return v.pipe(v.string(expected), v.regex(tokenHashPattern, expected), v.description(about));
};

const hostName = (about: string): Value<string> => {
  const expected = "a host name such as gateway.example, in small letters and without a port";
  return v.pipe(
    v.string(expected),
    v.regex(/^[a-z0-9._-]{1,253}$/, expected),
    v.description(about),
  );
};

const token = section("A token and what it is good for.", {
  name: name("Whose it is; in messages, never the token."),
  token: v.exactOptional(
    secretText(
      "The token; better its hash, or ${file:/run/secrets/name}. weir token new makes one.",
    ),
  ),
  tokenHash: v.exactOptional(secret(hash("Its hash, as weir token new prints it."))),
  role: v.optional(
    choice(
      "viewer reads; operator and admin are for what writes; publisher may post readings and nothing else.",
      roles,
    ),
    "viewer",
  ),
  expires: v.exactOptional(anyText("Last day, as 2027-01-31, or a time, as 2027-01-31T12:00:00Z.")),
});

export const httpSchema: v.GenericSchema<unknown, "off" | HttpSection> = v.union(
  [
    v.literal("off", "off, or a section with host and port"),
    section("Status page, metrics and status API.", {
      host: v.optional(anyText("Address to listen on; off loopback it needs tokens."), "127.0.0.1"),
      port: v.optional(port("Port; 0 takes a free one."), 8_080),
      tls: v.exactOptional(tlsSchema),
      tokens: v.optional(
        list("Who may ask. Without tokens: everyone on this machine.", token, {
          min: 0,
          max: limits.httpTokensMax,
        }),
        [],
      ),
      allowedHosts: v.optional(
        list("Names it is asked by, beside its addresses.", hostName("A host name."), few),
        [],
      ),
    }),
  ],
  "off, or a section with host and port",
);
