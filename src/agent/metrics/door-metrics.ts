/** Listeners and our certificates as Prometheus families; see metrics.ts. */

import type { HandshakeStatus } from "../../core/doors.ts";
import type { Family, Sample } from "./exposition.ts";
import type { Status } from "../status.ts";

export function doorFamilies({
  mqtt,
  certificates,
  clock,
}: Pick<Status, "mqtt" | "certificates" | "clock">): Family[] {
  const perListener = (of: (handshakes: HandshakeStatus) => number): Sample[] =>
    mqtt.listeners.flatMap(({ host, port, transport, handshakes }) =>
      handshakes === undefined
        ? []
        : [{ labels: { listener: `${host}:${port}`, transport }, value: of(handshakes) }],
    );
  const reasons = [
    ["crowded_out", "crowdedOut"],
    ["timed_out", "timedOut"],
    ["refused", "refused"],
  ] as const;
  const failed = reasons.flatMap(([reason, count]) =>
    perListener((handshakes) => handshakes[count]).map(({ labels, value }) => ({
      labels: { ...labels, reason },
      value,
    })),
  );
  const perCertificate = (of: (one: Status["certificates"][number]) => number): Sample[] =>
    certificates.map((one) => ({ labels: { file: one.file }, value: of(one) }));
  return [
    {
      name: "weir_listener_handshakes",
      type: "gauge",
      help: "Peers that are not through TLS or the WebSocket upgrade now.",
      samples: perListener(({ underWay }) => underWay),
    },
    {
      name: "weir_listener_handshakes_failed_total",
      type: "counter",
      help: "Peers closed before they were through, by the reason.",
      samples: failed,
    },
    {
      name: "weir_certificate_expires_seconds",
      type: "gauge",
      help: "Seconds until the certificate expires; below 0 it has.",
      samples: perCertificate(({ expires }) => (expires - clock.now) / 1_000),
    },
    {
      name: "weir_certificate_reloads_total",
      type: "counter",
      help: "Times the certificate was replaced while running.",
      samples: perCertificate(({ reloads }) => reloads),
    },
    {
      name: "weir_certificate_reload_failures_total",
      type: "counter",
      help: "Times new files could not be used.",
      samples: perCertificate(({ reloadFailures }) => reloadFailures),
    },
  ];
}
