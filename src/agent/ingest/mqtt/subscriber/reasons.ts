/**
 * Reason codes as words, with what a person can do about them.
 *
 * Source: MQTT 5 (OASIS), 2.4; MQTT 3.1.1, 3.2.2.3 for the return codes 1 to 5.
 */

const words: Readonly<Record<number, string>> = {
  1: "it does not speak this version of MQTT; set version to one it speaks (5 or 3.1.1)",
  2: "it does not take the client id; set clientId",
  3: "it is not available; see its log",
  4: "user or password is wrong; set user and password",
  5: "we are not authorised; set user and password, and give the user the right to connect",
  0x80: "no reason was given; see the broker's log",
  0x81: "it could not read what we sent; see the broker's log",
  0x82: "it found a protocol error; see the broker's log",
  0x83: "for a reason of its own; see the broker's log",
  0x84: "it does not speak this version of MQTT; set version to 3.1.1",
  0x85: "it does not take the client id; set clientId",
  0x86: "user or password is wrong; set user and password",
  0x87: "we are not authorised; give the user the right to it in the broker",
  0x88: "it is not available; see its log",
  0x89: "it is busy; it may have too many clients",
  0x8a: "we are banned; ask who runs the broker",
  0x8b: "it is shutting down",
  0x8c: "it wants another way to log in than user and password",
  0x8d: "it heard nothing of us for longer than keepAlive; look at the network between us",
  0x8e: "another client connected with our client id; give each its own (clientId)",
  0x8f: "it does not take the filter; see topics of the sources",
  0x93: "we were sent more messages than inFlight allows",
  0x95: "a packet was too large",
  0x96: "messages come too fast for it",
  0x97: "a quota is used up; see the broker's limits",
  0x98: "its administrator closed the connection",
  0x9b: "it does not offer this QoS; set qos lower",
  0x9c: "it asks to use another server for now; set urls",
  0x9d: "it has moved; set urls",
  0x9e: "it has no shared subscriptions; remove share",
  0x9f: "connections come too fast for it",
  0xa0: "the connection was open for as long as it allows",
  0xa2: "it allows no wildcards; name topics without {tag}, + and #",
};

/** What the broker meant, as the end of a sentence. */
export function reasonText(
  code: number,
  said: { readonly reason?: string | undefined; readonly server?: string | undefined } = {},
): string {
  const known = words[code] ?? `reason 0x${code.toString(16).padStart(2, "0")}`;
  const reason = said.reason === undefined || said.reason === "" ? "" : ` (${quoted(said.reason)})`;
  const server = said.server === undefined ? "" : ` to ${quoted(said.server)}`;
  return `${known}${server}${reason}`;
}

/** What a broker says is shown in part, and cannot break a line. */
function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
