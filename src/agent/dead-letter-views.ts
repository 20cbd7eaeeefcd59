/** Dead letters as they are shown: sources by name, payloads in base64. */

import type { Kv } from "../core/doors.ts";
import { fieldAt } from "./ingest/decode/places.ts";
import { readDeadLetters } from "../store/state/dead-letters.ts";
import type { DeadLettersAsked, DeadLetterView } from "./status.ts";

/** `sourceName` gives the name of a source by its id. */
export function deadLetterViews(
  kv: Kv,
  sourceName: (id: number) => string,
  asked: DeadLettersAsked,
): readonly DeadLetterView[] {
  return readDeadLetters(kv, asked).map(({ payload, source, ...letter }) => {
    const field = fieldAt(payload, letter.offset);
    return {
      ...letter,
      ...(field === undefined ? {} : { field }),
      source: sourceName(source),
      payloadBase64: Buffer.from(payload).toString("base64"),
    };
  });
}
