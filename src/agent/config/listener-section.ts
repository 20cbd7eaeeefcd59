/** Listeners of the embedded broker beside its plain one, and TLS on ours, as weir.yaml says it, after the schema. */

/** Paths of PEM files. */
export type TlsSection = { readonly certificate: string; readonly key: string };

export type ListenerTlsSection = TlsSection & {
  readonly clientCa?: string;
  /** Default: `required` with clientCa, else `none`. */
  readonly clientCertificate?: "none" | "optional" | "required";
  readonly crl?: string;
};

export type ListenerSection = {
  readonly host: string;
  readonly port: number;
  readonly tls?: ListenerTlsSection;
  /** The path. */
  readonly webSocket?: string;
  readonly allowedOrigins?: readonly string[];
};
