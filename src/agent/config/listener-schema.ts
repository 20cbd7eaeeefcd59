/** The schema of an item of `mqtt.listeners`, and of TLS on listeners; see schema.ts. */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import type { ListenerSection, TlsSection } from "./listener-section.ts";
import { anyText, choice, few, list, port, section, type Value } from "./schema-parts.ts";

const pem = {
  certificate: anyText("PEM file of the certificate, with those between it and its authority."),
  key: anyText("PEM file of its private key, without a passphrase."),
};

/** TLS where no client shows a certificate. */
export const tlsSchema: Value<TlsSection> = section("TLS, from version 1.2 on.", pem);

const listenerTls = section("TLS, from version 1.2 on.", {
  ...pem,
  clientCa: v.exactOptional(
    anyText("PEM file of the authorities that sign clients' certificates."),
  ),
  clientCertificate: v.exactOptional(
    choice("Whether clients show one. Default: required with clientCa, else none.", [
      "none",
      "optional",
      "required",
    ]),
  ),
  crl: v.exactOptional(anyText("PEM file of revoked certificates, a list of each authority.")),
});

const path = (about: string): Value<string> => {
  const expected = "a path such as /mqtt";
  return v.pipe(v.string(expected), v.regex(/^\/[\w./~-]{0,255}$/, expected), v.description(about));
};

/** As a browser sends it: no path, no slash at the end, small letters. */
const origin = (about: string): Value<string> => {
  const expected = "a site such as https://dashboard.example or http://10.0.0.5:8080";
  return v.pipe(
    v.string(expected),
    v.regex(/^https?:\/\/[^\s/?#@A-Z]+$/, expected),
    v.description(about),
  );
};

export const listenersSchema: Value<ListenerSection[]> = list(
  "Further listeners, each with TLS, WebSocket or both.",
  section("A listener.", {
    host: anyText("Address to listen on; 0.0.0.0 for all."),
    port: port("Port; 0 takes a free one."),
    tls: v.exactOptional(listenerTls),
    webSocket: v.exactOptional(path("MQTT over WebSocket on this path.")),
    allowedOrigins: v.exactOptional(
      list(
        "Sites whose pages may connect; those of this host's own address always may.",
        origin("A site as https://host:port."),
        few,
      ),
    ),
  }),
  { min: 0, max: limits.listenersMax },
);
