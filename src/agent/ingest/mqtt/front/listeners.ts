/** Where the front listens: on all of its addresses, or on none. */

import type {
  HandshakeStatus,
  ListenAddress,
  Net,
  NetListener,
  NetSocket,
} from "../../../../core/doors.ts";

export type Transport = "tcp" | "tls" | "ws" | "wss";

export type ListenerStatus = {
  readonly host: string;
  readonly port: number;
  readonly transport: Transport;
  readonly clientCertificate: "none" | "optional" | "required";
  /** Peers that are not through TLS or the WebSocket upgrade; undefined where they need none. */
  readonly handshakes: HandshakeStatus | undefined;
};

function transportOf({ tls, webSocket }: ListenAddress): Transport {
  if (webSocket === undefined) return tls === undefined ? "tcp" : "tls";
  return tls === undefined ? "ws" : "wss";
}

type Open = { readonly address: ListenAddress; readonly listener: NetListener };

export class Listeners {
  readonly #open: Open[] = [];

  /** Rejects with a Fault of the door; what was opened is closed again. */
  async open(
    net: Net,
    addresses: readonly ListenAddress[],
    accept: (socket: NetSocket) => void,
  ): Promise<void> {
    try {
      for (const address of addresses) {
        this.#open.push({ address, listener: await net.listen(address, accept) });
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Of the first; 0 where there is none. */
  get port(): number {
    return this.#open[0]?.listener.port ?? 0;
  }

  get acceptErrors(): number {
    return this.#open.reduce((sum, { listener }) => sum + listener.acceptErrors, 0);
  }

  get status(): readonly ListenerStatus[] {
    return this.#open.map(({ address, listener }) => ({
      host: address.host,
      port: listener.port,
      transport: transportOf(address),
      clientCertificate: address.tls?.clientCertificate ?? "none",
      handshakes: listener.handshakes,
    }));
  }

  /** Stops accepting; ports and errors can still be asked for. */
  async close(): Promise<void> {
    await Promise.all(this.#open.map(({ listener }) => listener.close()));
  }
}
