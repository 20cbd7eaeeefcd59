/**
 * Where the agent does something else than a specification demands, on purpose or because what it
 * stands on cannot. docs/mqtt-conformance.md is made from this.
 */

import type { Version } from "./case.ts";

export type Deviation = {
  readonly versions: readonly Version[];
  /** The claim that does not hold, word for word. */
  readonly claim: string;
  /** What the failed assertion says, so that it fails for this reason and no other. */
  readonly seen: RegExp;
  readonly instead: string;
  readonly why: string;
};

export const deviations: readonly Deviation[] = [
  {
    versions: ["3.1.1", "5.0"],
    claim: "a topic may have as many levels as its length allows",
    seen: /delivered/,
    instead:
      "a topic of more than 100 levels reaches no subscriber; where a source takes it, its readings are kept all the same",
    why: "the matcher of the broker behind the listener bounds the levels: it must not be made to search for ever",
  },
  {
    versions: ["5.0"],
    claim: "a PUBREC for what is not known is answered by a PUBREL 0x92",
    seen: /reason of the PUBREL/,
    instead: "it is answered by a PUBREL 0x00",
    why: "what is in flight to a client that named no receive maximum is not counted; the client is free to go on either way",
  },
  {
    versions: ["5.0"],
    claim: "a message to a shared subscription goes to one of its group",
    seen: /granted/,
    instead: "the subscription is refused with 0x9E; CONNACK says that there are none",
    why: "a gateway has few subscribers: to share work among them is for the broker upstream",
  },
];
