import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleStatus } from "../../../test/support/agent-view.ts";
import { millis } from "../../core/units.ts";
import { certificateNotices, listenerNotices, tokenNotices } from "./door-notices.ts";

const day = 86_400_000;
const now = 1_000 * day;
const certificate = { file: "/c.pem", reloads: 0, reloadFailures: 0, trouble: undefined };

function certificateMessages(expires: number, trouble?: string): readonly string[] {
  const status = { ...certificate, expires: millis(expires), trouble };
  return certificateNotices(status, now).map(({ message }) => message);
}

test("a certificate is told of 30 days before its end, and after it", () => {
  assert.deepEqual(certificateMessages(now + 31 * day), []);
  assert.match(
    certificateMessages(now + 30 * day)[0] ?? "",
    /\/c\.pem expires in 30 days: put a new/,
  );
  assert.match(certificateMessages(now - 1)[0] ?? "", /expired 0 days ago/);
  assert.deepEqual(certificateMessages(now + 99 * day, "the key does not fit"), [
    "the key does not fit",
  ]);
});

test("a token that expires is told by its name", () => {
  const of = (expires: number | undefined): readonly string[] => {
    const http = {
      ...sampleStatus.http!,
      tokens: [{ name: "dash", role: "viewer" as const, expires }],
    };
    return tokenNotices(http, now).map(({ message }) => message);
  };
  assert.deepEqual([...of(undefined), ...of(now + 31 * day), ...tokenNotices(undefined, now)], []);
  assert.deepEqual(of(now + day), [
    "the HTTP token dash expires in 1 day: weir token new makes another",
  ]);
});

test("who does not get through is told with the last reason", () => {
  const [plain, secured] = sampleStatus.mqtt.listeners;
  assert.deepEqual(listenerNotices(plain!), []);
  assert.deepEqual(
    listenerNotices(secured!).map(({ code }) => code),
    ["handshakes_refused_0.0.0.0:8883", "handshakes_slow_0.0.0.0:8883"],
  );
  assert.match(
    listenerNotices(secured!)[0]?.message ?? "",
    /3 peers .* the last from 10\.0\.0\.9:4711: its cert/,
  );
});
