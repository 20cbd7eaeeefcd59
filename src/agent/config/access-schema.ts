/** The schema of who may what in the `mqtt` section: users, certificates, rights, quotas; see schema.ts. */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import type { QuotasSection, RightsSection, UserSection } from "./access-section.ts";
import { bytesText } from "./quantity.ts";
import {
  anyText,
  byteSize,
  flag,
  integer,
  list,
  type ListBounds,
  secretText,
  section,
  type Value,
} from "./schema-parts.ts";

const patterns = (about: string): Value<string[]> =>
  list(about, anyText("A topic pattern such as plant/{user}/#."), {
    min: 0,
    max: limits.rightsPatternsMax,
  });

const rights = {
  publish: v.exactOptional(
    patterns("Topics that may be published to; without the list all, with an empty one none."),
  ),
  subscribe: v.exactOptional(
    patterns("Topics that may be subscribed to; without the list all, with an empty one none."),
  ),
};

const user = section("A user.", {
  name: anyText("User name; * stands for the users of usersFile that are not named here."),
  password: v.exactOptional(
    secretText("Password; better ${file:/run/secrets/name} than the word itself."),
  ),
  passwordHash: v.exactOptional(
    secretText("Its hash as weir user hash prints it; without both, the password is in usersFile."),
  ),
  ...rights,
});

const certificate = section("Whoever has a client certificate with this name.", {
  name: anyText("Common name of the verified certificate; * stands for all that are not named."),
  ...rights,
});

const listed: ListBounds = { min: 0, max: 1_024 };
const bytesPerSecond = { min: 1_024, max: 1_073_741_824 };
const messagesPerSecond = { min: 1, max: 10_000_000 };

const quotas = section("What one client, user or address may take; beyond it it waits.", {
  messagesPerSecond: v.optional(
    integer("Packets of one connection.", messagesPerSecond),
    limits.messagesPerSecondMax,
  ),
  bytesPerSecond: v.optional(
    byteSize("Bytes of one connection in a second.", bytesPerSecond),
    bytesText(limits.bytesPerSecondMax),
  ),
  inFlight: v.optional(
    integer("Messages of one connection that wait for their acknowledgement.", {
      min: 1,
      max: limits.inFlightPerConnectionMax,
    }),
    limits.inFlightPerConnectionMax,
  ),
  packet: v.optional(
    byteSize("The largest packet; a client that sends a larger one is disconnected.", {
      min: 1_024,
      max: limits.packetBytesMax,
    }),
    bytesText(limits.packetBytesMax),
  ),
  subscriptions: v.optional(
    integer("Subscriptions of one client; further ones are refused.", {
      min: 0,
      max: limits.subscriptionsMax,
    }),
    limits.subscriptionsPerClientMax,
  ),
  connectionsPerAddress: v.optional(
    integer("Connections from one address; further ones are closed.", {
      min: 1,
      max: limits.connectionsMax,
    }),
    limits.connectionsPerAddressMax,
  ),
  connectsPerSecond: v.optional(
    integer("New connections from one address, in the long run; further ones are closed.", {
      min: 1,
      max: 100_000,
    }),
    limits.connectsPerSecondMax,
  ),
  user: v.optional(
    section("The same for all connections of one user together.", {
      connections: v.optional(
        integer("Connections; further logins are refused.", { min: 1, max: limits.connectionsMax }),
        limits.connectionsPerUserMax,
      ),
      messagesPerSecond: v.exactOptional(integer("Packets; default: no bound.", messagesPerSecond)),
      bytesPerSecond: v.exactOptional(byteSize("Bytes; default: no bound.", bytesPerSecond)),
    }),
    {},
  ),
});

export const anonymousSchema: Value<boolean> = flag(
  "Clients without a user name may connect. Default: only on loopback and without users.",
);

export const usersSchema: Value<UserSection[]> = list("Who may connect.", user, listed);

export const usersFileSchema: Value<string> = anyText(
  "File of users that weir user writes; read again when it changes.",
);

export const certificatesSchema: Value<(RightsSection & { readonly name: string })[]> = list(
  "Rights of clients by the name in their certificate.",
  certificate,
  listed,
);

export const anonymousRightsSchema: Value<RightsSection> = section(
  "Rights of clients without a user name.",
  rights,
);

export const quotasSchema: Value<QuotasSection> = quotas;
