import assert from "node:assert/strict";
import { test } from "node:test";
import { type Cursor, emptyDigest, type Mark, marksMax } from "./cursor.ts";
import type { Intent, LaneState } from "./lane-state.ts";
import { type Here, type Reconciled, reconcile, resumeUpsert } from "./reconcile.ts";

const ours = "a".repeat(32);
const theirs = "b".repeat(32);
const fresh = "f".repeat(32);
const digests = ["0", "1", "2", "3"].map((digit) => digit.repeat(32));

function mark(seq: number, { outbox = ours, digest = digests[1]! } = {}): Mark {
  return { outbox, seq, digest };
}

/** Ten records were sent; the outbox goes on at number 110. */
const sent: LaneState = {
  agent: "gw1",
  cluster: "c1",
  mark: mark(10),
  number: 110,
  there: mark(10),
  boots: [{ id: "our boot", seq: 0 }],
  before: [],
  forkedFrom: "",
  intent: undefined,
  place: { topic: "weir.cursor", partition: 3, offset: 7 },
  incidents: { count: 0, last: undefined },
};
const intent: Intent = {
  number: 115,
  mark: mark(15, { digest: digests[2]! }),
  delivery: "transactional",
};
const underWay: LaneState = { ...sent, intent };
const unused: LaneState = { ...sent, mark: mark(0, { digest: emptyDigest }), there: undefined };

function here(state: LaneState | undefined, more: Partial<Here> = {}): Here {
  return {
    state,
    agent: "gw1",
    life: state === undefined ? undefined : (state.life ?? 0),
    cluster: "c1",
    isHeld: false,
    start: 100,
    freshOutbox: fresh,
    markAt: () => undefined,
    ...more,
  };
}

function cursor(at: Mark, { boot = "our boot", before = [] as readonly Mark[] } = {}): Cursor {
  const boots = [{ id: boot, seq: 0 }];
  return { agent: "gw1", lane: "alerts", mark: at, boots, before, version: "0.1.0" };
}

function went(reconciled: Reconciled): Extract<Reconciled, { kind: "go" }> {
  if (reconciled.kind === "halt") assert.fail(reconciled.why);
  return reconciled;
}

function told({ state }: { readonly state: LaneState }): string | undefined {
  return state.incidents.count === 0 ? undefined : state.incidents.last?.what;
}

test("a lane that was never used begins at the oldest record with a fresh outbox", () => {
  const begun = went(reconcile(here(undefined), undefined));
  assert.equal(begun.verdict, "begun");
  assert.deepEqual(begun.state.mark, { outbox: fresh, seq: 0, digest: emptyDigest });
  assert.equal(begun.state.number, 100);
  assert.equal(told(begun), undefined);
});

test("an intent of which the cluster knows is committed", () => {
  const { verdict, state } = went(reconcile(here(underWay), cursor(intent.mark)));
  assert.equal(verdict, "committed");
  assert.deepEqual(state, { ...sent, mark: intent.mark, number: 115, there: intent.mark });
});

test("an intent of which the cluster does not know was aborted", () => {
  const { verdict, state } = went(reconcile(here(underWay), cursor(sent.mark)));
  assert.equal(verdict, "resumed");
  assert.deepEqual(state, sent);
});

test("the first intent ever was aborted where there is no cursor, and that is no incident", () => {
  const begun = went(reconcile(here({ ...unused, intent }), undefined));
  assert.equal(begun.verdict, "begun");
  assert.equal(begun.state.intent, undefined);
  assert.equal(told(begun), undefined);
});

test("a cursor that is further with the same records is caught up with", () => {
  const further = mark(12, { digest: digests[3]! });
  const markAt = (seq: number) => (seq === 12 ? { mark: further, number: 112 } : undefined);
  const caughtUp = went(reconcile(here(sent, { markAt }), cursor(further)));
  assert.equal(caughtUp.verdict, "caught-up");
  assert.deepEqual([caughtUp.state.mark, caughtUp.state.number], [further, 112]);
  assert.match(told(caughtUp) ?? "", /had 2 records more than this agent remembered/);
});

test("a cursor that is further, or as far, with other records makes a fork", () => {
  const others = { mark: mark(12), number: 112 };
  for (const at of [mark(12, { digest: digests[3]! }), mark(10, { digest: digests[3]! })]) {
    const forked = went(reconcile(here(underWay, { markAt: () => others }), cursor(at)));
    assert.equal(forked.verdict, "forked");
    const { state } = forked;
    assert.deepEqual(state.mark, { outbox: fresh, seq: 0, digest: emptyDigest });
    assert.equal(state.forkedFrom, `${ours}:10`);
    assert.deepEqual([state.number, state.intent, state.boots], [110, undefined, []]);
    assert.deepEqual(state.before, [at]);
    assert.match(
      told(forked) ?? "",
      /restored copy or a clone; it goes on as outbox f+ from record 110/,
    );
  }
});

test("a fork is not reported again before its first commit, even after one was tried", () => {
  const found = cursor(mark(12, { digest: digests[3]! }));
  const forked = went(reconcile(here(sent), found)).state;
  const tried: LaneState = {
    ...forked,
    intent: { ...intent, number: 112, mark: mark(2, { outbox: fresh }) },
  };
  for (const state of [forked, tried]) {
    for (const isHeld of [false, true]) {
      const again = went(reconcile(here(state, { isHeld }), found));
      assert.deepEqual(again.state, forked);
    }
  }
});

test("a cluster that is behind is reported once, and we go on from what we know", () => {
  const found = cursor(mark(6), { boot: "a boot long ago" });
  for (const isHeld of [false, true]) {
    const behind = went(reconcile(here(underWay, { isHeld }), found));
    assert.equal(behind.verdict, "cluster-behind");
    assert.deepEqual([behind.state.mark, behind.state.number], [sent.mark, 110]);
    assert.match(told(behind) ?? "", /acknowledged 10 records .* now has 6/);
    const again = went(reconcile(here(behind.state, { isHeld }), found));
    assert.deepEqual([again.verdict, again.state], ["resumed", behind.state]);
  }
});

test("a cursor that is gone is reported once, with what was under way", () => {
  const quiet = went(reconcile(here(sent), undefined));
  assert.equal(quiet.verdict, "cursor-lost");
  assert.match(
    told(quiet) ?? "",
    /no cursor of gw1 any more: .* what this agent remembers as sent is not sent again/,
  );
  const doubtful = went(reconcile(here(underWay), undefined));
  assert.match(told(doubtful) ?? "", /records 110 to 114 were under way and may be there twice/);
  assert.deepEqual(went(reconcile(here(quiet.state), undefined)), {
    kind: "go",
    verdict: "resumed",
    state: quiet.state,
  });
});

test("another cluster is reported once, and places in the old one are forgotten", () => {
  const replaced = went(reconcile(here(underWay, { cluster: "c2" }), undefined));
  assert.equal(replaced.verdict, "cluster-replaced");
  assert.match(
    told(replaced) ?? "",
    /another one \(c2, it was c1\): what was sent before record 110/,
  );
  const { last } = replaced.state.incidents;
  assert.deepEqual([last?.first, last?.next], [110, 115]);
  assert.deepEqual([replaced.state.place, replaced.state.intent], [undefined, undefined]);
  const again = went(reconcile(here(replaced.state, { cluster: "c2" }), undefined));
  assert.deepEqual([again.verdict, again.state], ["resumed", replaced.state]);
});

test("a lane that sent nothing yet moves to another cluster without a word", () => {
  const begun = went(reconcile(here(unused, { cluster: "c2" }), undefined));
  assert.deepEqual([begun.verdict, told(begun), begun.state.cluster], ["begun", undefined, "c2"]);
});

test("another outbox that we do not know is taken over, with a word, and kept in before", () => {
  const found = cursor(mark(77, { outbox: theirs }), { boot: "their boot", before: [mark(10)] });
  const resumed = went(reconcile(here(sent), found));
  assert.equal(resumed.verdict, "resumed");
  assert.deepEqual(resumed.state.before, [found.mark]);
  assert.match(
    told(resumed) ?? "",
    /outbox b+ has written 77 records as gw1, which this agent takes over/,
  );
  assert.equal(went(reconcile(here(resumed.state), found)).state.incidents.count, 1);
  const begun = went(reconcile(here(undefined), found));
  assert.deepEqual(begun.state.before, [found.mark, mark(10)]);
  assert.match(told(begun) ?? "", /takes over/);
});

test("our intent is decided right although another outbox wrote after it", () => {
  const found = cursor(mark(5, { outbox: theirs }), { boot: "their boot", before: [intent.mark] });
  const { verdict, state } = went(reconcile(here(underWay), found));
  assert.equal(verdict, "committed");
  assert.deepEqual([state.mark, state.number], [intent.mark, 115]);
});

test("a process that has had the lane halts when another writes, whatever its outbox", () => {
  for (const outbox of [ours, theirs]) {
    const found = cursor(mark(20, { outbox }), { boot: "their boot", before: [mark(10)] });
    const halted = reconcile(here(sent, { isHeld: true }), found);
    assert.equal(halted.kind, "halt");
    assert.match(
      halted.kind === "halt" ? halted.why : "",
      /another agent writes as gw1 \(outbox \w+, process their boot\): sending stops here and records are kept/,
    );
  }
});

test("an agent that was renamed begins anew, and says what was under way under the old name", () => {
  const renamed = went(reconcile(here(underWay, { agent: "gw2" }), undefined));
  assert.equal(renamed.verdict, "begun");
  assert.deepEqual([renamed.state.agent, renamed.state.number], ["gw2", 110]);
  assert.deepEqual(renamed.state.mark, { outbox: fresh, seq: 0, digest: emptyDigest });
  assert.match(told(renamed) ?? "", /was called gw1 while records 110 to 114 were under way/);
  assert.equal(told(went(reconcile(here(sent, { agent: "gw2" }), undefined))), undefined);
});

test("marks of others are bounded, the newest are kept", () => {
  const many = Array.from({ length: marksMax + 3 }, (_, n) => mark(n, { outbox: `other ${n}` }));
  const found = cursor(mark(77, { outbox: theirs }), { before: [...many, mark(10)] });
  const { state } = went(reconcile(here(sent), found));
  assert.equal(state.before.length, marksMax);
  assert.equal(state.before[0]?.outbox, theirs);
  const full: LaneState = { ...sent, before: many.slice(0, marksMax) };
  const forked = went(reconcile(here(full), cursor(mark(12), { before: full.before })));
  assert.equal(forked.state.before.length, marksMax);
  assert.equal(forked.state.before[0]?.outbox, ours, "we find ourselves there again");
});

test("without cursors what was under way is sent again with the same numbers", () => {
  assert.deepEqual(went(resumeUpsert(here(underWay))).state, sent);
  assert.equal(went(resumeUpsert(here(undefined))).verdict, "begun");
  assert.equal(went(resumeUpsert(here(sent, { cluster: "c2" }))).verdict, "cluster-replaced");
});

test("what was under way without a transaction may be twice, whatever the cursor says", () => {
  const doubtful: LaneState = { ...underWay, intent: { ...intent, delivery: "upsert" } };
  for (const found of [cursor(sent.mark), undefined]) {
    const state = found === undefined ? { ...doubtful, there: undefined } : doubtful;
    const resumed = went(reconcile(here(state), found));
    assert.equal(resumed.verdict, "resumed");
    assert.match(told(resumed) ?? "", /records 110 to 114 .* without a transaction/);
  }
});

test("back in a cluster that has an older cursor of ours, it is another cluster that has the rest", () => {
  const back = went(reconcile(here({ ...sent, cluster: "c2" }), cursor(mark(4))));
  assert.equal(back.verdict, "cluster-replaced");
  assert.match(told(back) ?? "", /another one \(c1, it was c2\)/);
});

test("hardware whose name was given to other halts for good, whether it had the lane or not", () => {
  const heir: Cursor = { ...cursor(mark(12), { boot: "its boot" }), life: 1 };
  for (const isHeld of [true, false]) {
    const halted = reconcile(here(sent, { isHeld }), heir);
    assert(halted.kind === "halt");
    assert.match(halted.why, /was replaced: weir restore --from-kafka gave the name gw1 to other/);
  }
});

test("the replacement is put out by nobody with an earlier life, and takes its outbox on", () => {
  const replacement: LaneState = { ...sent, life: 1 };
  const late = cursor(mark(12), { boot: "the old one's" });
  const back = went(reconcile(here(replacement, { isHeld: true }), late));
  assert.equal(back.verdict, "forked");
  assert.equal(back.state.life, 1);
  const equal: Cursor = { ...late, life: 1 };
  assert.equal(reconcile(here(replacement, { isHeld: true }), equal).kind, "halt");
});

test("an empty data directory goes on in the life that its name has", () => {
  const begun = went(reconcile(here(undefined), { ...cursor(mark(3)), life: 2 }));
  assert.equal(begun.state.life, 2);
});

test("a lane that is new is not begun by hardware whose name was given to other", () => {
  const heir: Cursor = { ...cursor(mark(0)), life: 1 };
  assert.equal(reconcile(here(undefined, { life: 0 }), heir).kind, "halt");
  const another: LaneState = { ...sent, agent: "gw0" };
  assert.equal(reconcile(here(another, { life: 0 }), heir).kind, "halt");
  const begun = went(reconcile(here(undefined, { life: 2 }), heir));
  assert.deepEqual([begun.verdict, begun.state.life], ["begun", 2]);
  const older = went(reconcile(here(sent, { life: 2 }), cursor(sent.mark)));
  assert.deepEqual([older.verdict, older.state.life], ["resumed", 2]);
});
