/** The `http` section as the schema makes it. */

import type { Role } from "../http/tokens.ts";
import type { TlsSection } from "./listener-section.ts";

/** With one of token and tokenHash. */
export type TokenSection = {
  readonly name: string;
  readonly token?: string;
  readonly tokenHash?: string;
  readonly role: Role;
  /** A date or a time. */
  readonly expires?: string;
};

export type HttpSection = {
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsSection;
  readonly tokens: readonly TokenSection[];
  readonly allowedHosts: readonly string[];
};
