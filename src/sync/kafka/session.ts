/**
 * The life of a lane's session with the cluster as a pure state machine: what to do next, and what
 * follows from how it went. kafka-lane.ts does what it says; nothing else decides an order.
 *
 *                 ┌───────────── transactional ────────────┐
 *   closed ─▶ connecting ─▶ initialising ─▶ reading ─▶ reconciling ─▶ ready ─▶ adding ─▶ sending ─▶ committing
 *     ▲                                                  │               ▲                  │           │
 *     │                                                  ▼               └──── upsert ──────┘           │
 *     │                                                halted            ▲                              │
 *     └── any failure                                                    └──────────────────────────────┘
 *
 * The only way out of a failure is `closed`: connections, producer id and epoch are thrown away, and
 * nothing is sent again before a new producer has fenced the old one and the cursor was read. Only
 * where the cluster says that it has not finished yet (busy) is the same step tried again, a bounded
 * number of times. With `upsert` delivery there are no producer, cursor and transaction.
 */

export type SessionState =
  | "closed"
  | "connecting"
  | "initialising"
  | "reading"
  | "reconciling"
  | "ready"
  | "adding"
  | "sending"
  | "committing"
  | "halted";

/** What `delivery` in the configuration promises. */
export type Guarantee = "transactional" | "upsert";

export type Session = {
  readonly state: SessionState;
  readonly delivery: Guarantee;
  /** Tries of this step that found the cluster busy. */
  readonly waits: number;
};

export type SessionEvent =
  /** Somebody wants the session: only while it is closed. */
  | { readonly kind: "open" }
  /** Records wait: only while it is ready. */
  | { readonly kind: "deliver" }
  | { readonly kind: "done" }
  /** `error`: the protocol's name of what the cluster refused with; undefined for anything else. */
  | { readonly kind: "failed"; readonly error: string | undefined }
  /** Reconciling found another agent under our name. */
  | { readonly kind: "foreign" };

/** Tries of one step that may find the cluster busy; with waitMsOf, 79 s: more than a transaction may take. */
export const waitsMax = 400;

/**
 * Answers, over about 3 s, after which a group whose offset stays undecided is passed over. All
 * transactions of this name are decided by then; a Kafka 4 that was killed has been seen to say
 * otherwise of its group for more than a minute.
 */
export const groupWaitsMax = 24;

/** What a step answers with while an earlier transaction, or the coordinator itself, is not ready. */
const busy: Readonly<Partial<Record<SessionState, readonly string[]>>> = {
  initialising: [
    "CONCURRENT_TRANSACTIONS",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
  ],
  reading: ["UNSTABLE_OFFSET_COMMIT", "COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE"],
  adding: ["CONCURRENT_TRANSACTIONS"],
};

const steps: Readonly<Record<Guarantee, readonly SessionState[]>> = {
  transactional: [
    "connecting",
    "initialising",
    "reading",
    "reconciling",
    "ready",
    "adding",
    "sending",
    "committing",
  ],
  upsert: ["connecting", "reconciling", "ready", "sending"],
};

export function closedSession(delivery: Guarantee): Session {
  return { state: "closed", delivery, waits: 0 };
}

/** The session after `event`. Undefined where the event cannot occur in its state: a bug. */
export function afterEvent(session: Session, event: SessionEvent): Session | undefined {
  const { state, delivery, waits } = session;
  const at = (next: SessionState): Session => ({ state: next, delivery, waits: 0 });
  switch (event.kind) {
    case "open":
      return state === "closed" ? at("connecting") : undefined;
    case "deliver":
      return state === "ready" ? at(stepAfter("ready", delivery)) : undefined;
    case "foreign":
      return state === "reconciling" ? at("halted") : undefined;
    case "done":
      return isResting(state) ? undefined : at(stepAfter(state, delivery));
    case "failed":
      if (state === "closed" || state === "halted") return undefined;
      return isBusy(state, event.error) && waits < waitsMax
        ? { state, delivery, waits: waits + 1 }
        : at("closed");
  }
}

/** Whether it waits for somebody to want something. */
export function isResting(state: SessionState): boolean {
  return state === "closed" || state === "ready" || state === "halted";
}

/** How long to wait before a step is tried again, in ms: short first, an answer is often near. */
export function waitMsOf({ waits }: Session): number {
  return waits === 0 ? 0 : Math.min(2 ** waits, 200);
}

/** After the last step comes ready again. */
function stepAfter(state: SessionState, delivery: Guarantee): SessionState {
  const all = steps[delivery];
  return all[all.indexOf(state) + 1] ?? "ready";
}

function isBusy(state: SessionState, error: string | undefined): boolean {
  return error !== undefined && (busy[state]?.includes(error) ?? false);
}
