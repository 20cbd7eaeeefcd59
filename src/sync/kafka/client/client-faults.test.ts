import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError } from "../../../core/assert.ts";
import {
  connectFault,
  decisive,
  lostFault,
  noBrokerFault,
  type Peer,
  refusalFault,
} from "./client-faults.ts";

const peer: Peer = {
  address: "kafka.example:9093",
  principal: undefined,
  mechanism: undefined,
  tls: true,
  certificate: false,
};

/** As the client gives them: the cause wrapped. */
function wrapped(code: string, message = code): Error {
  return new Error("Connection failed", { cause: Object.assign(new Error(message), { code }) });
}

test("a certificate out of its time points at the gateway's clock too", () => {
  for (const [code, words] of [
    ["CERT_HAS_EXPIRED", /expired.*clock is ahead/],
    ["CERT_NOT_YET_VALID", /not valid yet.*clock seems to be behind/],
  ] as const) {
    const fault = connectFault(wrapped(code), peer, 5_000);
    assert.equal(fault.code, "UPLINK_LOGIN_REFUSED");
    assert.match(fault.message, words);
  }
});

test("a clock that was never set is said to be the reason", () => {
  for (const code of ["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]) {
    const fault = connectFault(wrapped(code), { ...peer, nowMs: 12_000 }, 5_000);
    assert.match(fault.message, /says 1970-01-01T00:00:12.000Z, .*never set. Set it, by NTP/);
    assert.doesNotMatch(fault.message, /renew/);
  }
  const late = { ...peer, nowMs: Date.parse("2031-01-01T00:00:00Z") };
  const fault = connectFault(wrapped("CERT_HAS_EXPIRED"), late, 5_000);
  assert.match(
    fault.message,
    /unless this gateway's clock is ahead .*says 2031-01-01T00:00:00.000Z/,
  );
});

test("a certificate of a stranger may be that of a captive portal", () => {
  for (const code of ["DEPTH_ZERO_SELF_SIGNED_CERT", "ERR_TLS_CERT_ALTNAME_INVALID"]) {
    assert.match(connectFault(wrapped(code), peer, 5_000).message, /captive portal/);
  }
});

test("all addresses of a name refusing is one refusal", () => {
  const refused = wrapped("ECONNREFUSED").cause;
  const error = new Error("failed", { cause: new AggregateError([refused, refused]) });
  const fault = connectFault(error, peer, 5_000);
  assert.equal(fault.code, "UPLINK_UNREACHABLE");
  assert.equal(
    fault.message,
    "broker kafka.example:9093: nothing listens there: check the port and that the broker is running",
  );
});

test("a missing right names user, operation and resource", () => {
  const alice = { ...peer, principal: "User:alice" };
  const lacking = (error: string, asked: Parameters<typeof refusalFault>[1]): string => {
    const fault = refusalFault({ error, detail: undefined }, asked, alice);
    assert.equal(fault.code, "UPLINK_RIGHT_MISSING");
    return fault.message;
  };
  assert.equal(
    lacking("TOPIC_AUTHORIZATION_FAILED", { request: "Produce", topic: "weir.summaries" }),
    "the cluster does not let User:alice WRITE to topic weir.summaries: grant WRITE on Topic weir.summaries",
  );
  assert.match(
    lacking("TOPIC_AUTHORIZATION_FAILED", { request: "Fetch", topic: "t" }),
    /READ on Topic t$/,
  );
  assert.match(
    lacking("GROUP_AUTHORIZATION_FAILED", { request: "OffsetFetch", group: "g" }),
    /READ on Group g$/,
  );
  assert.match(
    lacking("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", { request: "EndTxn", transactionalId: "x" }),
    /WRITE and DESCRIBE on TransactionalId x$/,
  );
  assert.match(
    lacking("CLUSTER_AUTHORIZATION_FAILED", { request: "CreateTopics", topic: "t" }),
    /CREATE on Topic t or on Cluster$/,
  );
});

test("a part left undone because of another does not explain a refusal", () => {
  const undone = { error: "OPERATION_NOT_ATTEMPTED" };
  const reason = { error: "TOPIC_AUTHORIZATION_FAILED" };
  assert.equal(decisive([undone, reason]), reason);
  assert.equal(decisive([undone]), undone);
  assert.equal(decisive([]), undefined);
});

test("a single broker's fault stands for itself, several are told together", () => {
  const down = connectFault(wrapped("ECONNREFUSED"), peer, 5_000);
  const other = { ...peer, address: "second.example:9093" };
  const untrusted = connectFault(wrapped("SELF_SIGNED_CERT_IN_CHAIN"), other, 5_000);
  assert.equal(noBrokerFault([down]), down);
  const both = noBrokerFault([down, untrusted]);
  assert.equal(both.code, "UPLINK_LOGIN_REFUSED");
  assert.match(
    both.message,
    /kafka.example:9093: nothing listens.*; broker second.example.*tls.ca/,
  );
});

test("a bug of ours is not the cluster's fault", () => {
  const bug = new InvariantError("a batch holds at least one record");
  const at = { asked: { request: "Produce" }, peer, timeoutMs: 1, isFirst: false } as const;
  assert.throws(() => lostFault(bug, at), bug);
});
