/**
 * Keeps the broker's messages in the order in which they were published.
 *
 * The broker numbers a message when it is published, and gives a client no message with a number
 * below one it was given, which is how it keeps overlapping subscriptions apart. But what is
 * retained, and QoS 1 and 2, is stored before it is passed on, while QoS 0 passes at once: with the
 * higher number it arrives first, and the earlier message is then taken for a repetition and given
 * to nobody. So whatever follows a message that is being stored waits until that one has passed.
 *
 *   publish(1, QoS 1) -> store ........ -> pass 1
 *   publish(2, QoS 0)    waits             -> pass 2
 *
 * The store is in memory, so the wait is for microtasks only; what waits counts as the broker's
 * backlog, or as unread bytes of a client, and is bounded there.
 */

type Done = (error?: Error | null) => void;
type Message = { readonly qos?: number; readonly retain?: boolean };
/** A client, or none. */
type From = { readonly id?: string } | null | undefined;

/** What is used of the broker. */
export type Publisher = {
  publish(message: Message, from: From | Done, done?: Done): void;
  readonly mq: { emit(message: unknown, done: unknown): unknown };
};

/** Replaces `publish`, and what passes messages on, in place. */
export function keepPublishOrder(broker: Publisher): void {
  const publish = broker.publish.bind(broker);
  const emit = broker.mq.emit.bind(broker.mq);
  const waiting: (() => void)[] = [];
  /** The message that is being stored. */
  let stored: Message | undefined;
  let isDraining = false;

  const passed = (): void => {
    stored = undefined;
    if (isDraining) return;
    isDraining = true;
    while (stored === undefined) {
      const next = waiting.shift();
      if (next === undefined) break;
      next();
    }
    isDraining = false;
  };

  const start = (message: Message, from: From, done: Done): void => {
    if ((message.qos ?? 0) === 0 && message.retain !== true) return publish(message, from, done);
    stored = message;
    publish(message, from, (error) => {
      // It failed before it was passed on.
      if (stored === message) passed();
      done(error);
    });
  };

  Object.assign(broker, {
    publish: (message: Message, from: From | Done, after?: Done) => {
      const client = isDone(from) ? null : from;
      const done = (isDone(from) ? from : after) ?? ignore;
      if (stored !== undefined || isDraining) waiting.push(() => start(message, client, done));
      else start(message, client, done);
    },
  });
  Object.assign(broker.mq, {
    emit: (message: unknown, done: unknown) => {
      const result = emit(message, done);
      if (stored !== undefined) passed();
      return result;
    },
  });
}

function isDone(from: From | Done): from is Done {
  return typeof from === "function";
}

function ignore(): void {
  // Nobody asked.
}
