/** What the schemas of `brokers` and of a bridge have in common; see schema.ts. */

import * as v from "valibot";
import type { RemoteBrokerSection } from "./remote-broker-section.ts";
import { anyText, secretText, section, SECOND_MS, type Value } from "./schema-parts.ts";

const clientIdMax = 256;

/** Longest keep alive there is room for in CONNECT: 65535 s. */
export const keepAliveMsMax: number = 65_535 * SECOND_MS;

export const versionSchema: Value<RemoteBrokerSection["version"]> = v.pipe(
  v.picklist([5, "5", "3.1.1"], "5 or 3.1.1"),
  v.description("Version of MQTT to speak with it."),
);

export const clientIdSchema: Value<string> = v.pipe(
  anyText("Client id; no other client of that broker may have it."),
  v.maxLength(clientIdMax, `a client id of at most ${clientIdMax} characters`),
);

export const userSchema: Value<string> = anyText("User name.");

export const passwordSchema: Value<string> = secretText(
  "Password; better ${file:/run/secrets/name} than the word itself.",
);

export const connectTlsSchema: Value<NonNullable<RemoteBrokerSection["tls"]>> = section(
  "TLS, with mqtts:// or wss://; without it the authorities that come with Node are trusted.",
  {
    ca: v.exactOptional(anyText("PEM file of the authorities to trust.")),
    certificate: v.exactOptional(anyText("PEM file of our client certificate; with key.")),
    key: v.exactOptional(anyText("PEM file of its private key.")),
    serverName: v.exactOptional(anyText("Name in the broker's certificate, if not its address.")),
  },
);
