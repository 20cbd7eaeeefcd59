/**
 * The status page at /: one document, no request but to this agent, every second /v1/status,
 * /v1/ledger and /v1/alerts. What it shows is put in as text, never as markup. The policy names
 * style and script by their hashes, so nothing else can run.
 */

import { createHash } from "node:crypto";
import type { Reply } from "./reply.ts";

const style = `
:root { color-scheme: light dark; --line: #8884; --dim: #777; --good: #18794e; --warn: #8a5300; --bad: #c62a2f; }
@media (prefers-color-scheme: dark) { :root { --good: #4cc38a; --warn: #ffb224; --bad: #ff6369; --dim: #999; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1rem; font: 1rem/1.45 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; }
h1 { font-size: 1.25rem; margin: 0; }
h2 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
h2 small { font-weight: 400; }
p { margin: .25rem 0; }
.dim { color: var(--dim); }
.good { color: var(--good); }
.warn { color: var(--warn); }
.bad { color: var(--bad); font-weight: 600; }
.stale { opacity: .45; }
.stale .good { color: inherit; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: .75rem; margin: 1rem 0; }
dt { color: var(--dim); font-size: .85rem; }
dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
dd small { color: var(--dim); font-size: .75rem; white-space: nowrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--dim); font-weight: 500; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.text, .key { text-align: left; }
td.key { white-space: normal; }
/* A phone shows each alert in two lines, its numbers in the first. */
@media (max-width: 40rem) {
  #alerts, #alerts tbody { display: block; }
  #alerts { font-size: .8rem; }
  #alerts tr { display: grid; grid-template-columns: 6.5em repeat(3, 1fr); border-bottom: 1px solid var(--line); }
  #alerts th, #alerts td { border: 0; padding: .15rem 0 .15rem .5rem; white-space: normal; overflow-wrap: anywhere; }
  #alerts :is(th, td):nth-child(-n+2) { padding-left: 0; }
  #alerts :is(th, td):is(:nth-child(2), :nth-child(3), :nth-child(4)) { grid-row: 2; }
  #alerts :is(th, td):nth-child(3) { grid-column: 2 / span 2; }
}
`;

const script = `
"use strict";
const REFRESH_MS = 1000;
const SINCE_START = "since start";
const byId = (id) => document.getElementById(id);
const count = new Intl.NumberFormat("en");
const amount = (bytes) => {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit += 1; }
  return (unit === 0 ? bytes : bytes.toFixed(1)) + " " + units[unit];
};
const time = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");
const measure = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
/* Counts whole, measured values to six digits, or to thousandths where that is more. */
const number = (value) =>
  typeof value !== "number" ? value : (Number.isInteger(value) || Math.abs(value) >= 1000 ? count : measure).format(value);

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}
function sentences(id, list, className) {
  byId(id).replaceChildren(...list.map((sentence) => element("p", sentence, className)));
}
/* list: [name, value, what the value covers] */
function facts(list) {
  byId("facts").replaceChildren(...list.map(([name, value, scope]) => {
    const box = document.createElement("div");
    const shown = element("dd", value);
    if (scope) shown.append(" ", element("small", scope));
    box.append(element("dt", name), shown);
    return box;
  }));
}
/* columns: [head, cell of a row, class] */
function table(id, rows, columns) {
  const head = document.createElement("tr");
  head.append(...columns.map(([name, , kind]) => element("th", name, kind)));
  const lines = rows.map((row) => {
    const line = document.createElement("tr");
    line.append(...columns.map(([, cell, kind]) => {
      const value = cell(row);
      if (value === true) return element("td", "yes", "good");
      if (value === false) return element("td", "NO", "bad");
      return element("td", number(value), kind);
    }));
    return line;
  });
  byId(id).replaceChildren(head, ...lines);
}

let before;
function rate(status) {
  const now = { at: status.clock.now, rows: status.log.rowsAppended, started: status.startedAt };
  const last = before;
  before = now;
  if (!last || last.started !== now.started || now.at <= last.at) return "";
  return number(Math.round((now.rows - last.rows) * 1000 / (now.at - last.at))) + " /s";
}

function showStatus(status) {
  document.title = status.agent + " - weir";
  byId("agent").textContent = status.agent;
  byId("version").textContent = "weir " + status.version;
  const state = byId("state");
  state.textContent = status.state;
  state.className = status.state === "running" ? "good" : "bad";
  sentences("reasons", status.degraded.map(({ name, message }) => name + ": " + message), "bad");
  sentences("notices", status.notices, "warn");
  const waiting = Object.values(status.outbox).reduce((sum, lane) => sum + lane.records, 0);
  facts([
    ["readings", rate(status)],
    ["readings logged", number(status.log.rowsAppended), SINCE_START],
    ["durable after (p99)", status.log.appendMs.p99 === null ? "over 30 s" : number(status.log.appendMs.p99) + " ms", SINCE_START],
    ["series", number(status.cardinality.series)],
    ["windows closed", number(status.outputs.summaries), SINCE_START],
    ["alerts", number(status.outputs.alerts), SINCE_START],
    ["waiting for uplink", number(waiting)],
    ["dead letters", number(status.deadLetters.total)],
    ["log", amount(status.log.bytes)],
    ["tables", amount(status.tables.bytes), number(status.tables.inTables) + " readings"],
    ["memory", amount(status.memory.rssBytes)],
    ["mqtt", status.mqtt.listeners.map((one) => one.host + ":" + one.port + " " + one.transport).join(", ")],
    ["clock", time(status.clock.now) + (status.clock.trusted ? "" : " (not trusted)")],
  ]);
  byId("elsewhere").hidden = status.brokers.length === 0;
  table("brokers", status.brokers, [
    ["broker", (row) => row.name],
    ["state", (row) => row.trouble && row.state !== "running" ? row.state + ": " + row.trouble.message : row.state, "text"],
    ["received", (row) => row.counters.received],
    ["not acknowledged", (row) => row.inFlight],
    ["reconnects", (row) => row.counters.reconnects],
    ["sessions lost", (row) => row.counters.sessionsLost],
  ]);
  const ends = status.uplinks.flatMap((uplink) =>
    Object.entries(uplink.lanes).map(([lane, end]) => ({ name: uplink.name, lane, ...end })));
  table("uplinks", ends, [
    ["uplink", (row) => row.name + " " + row.lane],
    ["state", (row) => row.trouble ? row.state + ": " + row.trouble
      : row.held && row.behind > 0 ? row.state + ", held: " + row.held : row.state, "text"],
    ["delivered since the start", (row) => row.delivered],
    ["waiting", (row) => row.behind],
  ]);
}

function showLedger(ledger) {
  const verdict = byId("balance");
  verdict.textContent = ledger.balanced ? "balances: every message and reading is accounted for" : "DOES NOT BALANCE";
  verdict.className = ledger.balanced ? "good" : "bad";
  table("sources", ledger.sources, [
    ["source", (row) => row.source],
    ["messages", (row) => row.messages.received],
    ["decoded", (row) => row.messages.decoded],
    ["dead-lettered", (row) => row.messages.deadLettered],
    ["shed", (row) => row.messages.shed],
    ["readings", (row) => row.readings.decoded],
    ["accepted", (row) => row.readings.accepted],
    ["duplicate", (row) => row.readings.duplicate],
    ["quarantined", (row) => row.readings.quarantined],
    ["rejected", (row) => row.readings.rejected],
    ["balances", (row) => row.balanced],
  ]);
  table("pipelines", ledger.pipelines, [
    ["pipeline", (row) => row.pipeline],
    ["accepted", (row) => row.accepted],
    ["filtered", (row) => row.filtered],
    ["refused", (row) => row.refused],
    ["late", (row) => row.late],
    ["open", (row) => row.open],
    ["closed", (row) => row.closed],
    ["windows", (row) => row.windows],
    ["alerts", (row) => row.alerts],
    ["balances", (row) => row.balanced],
  ]);
}

function showAlerts(alerts) {
  table("alerts", alerts.slice(-20).reverse(), [
    ["time (UTC)", (row) => time(row.time)],
    ["pipeline", (row) => row.pipeline, "text"],
    ["key", (row) => row.key.map(([name, value]) => name + "=" + value).join(" "), "key"],
    ["reason", (row) => row.reason, "text"],
    ["value", (row) => number(row.value) ?? ""],
    ["expected", (row) => number(row.expected) ?? ""],
    ["score", (row) => number(row.score) ?? ""],
  ]);
}

/* The token is kept for this tab only, and goes nowhere but into this header. */
const TOKEN = "weir-token";
class Unauthorised extends Error {}
async function ask(path) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: "Bearer " + token } : {};
  const answer = await fetch(path, { headers, credentials: "omit", signal: AbortSignal.timeout(5000) });
  if (answer.status === 401 || answer.status === 403 || answer.status === 429) {
    throw new Unauthorised((await answer.json()).message);
  }
  if (!answer.ok) throw new Error("HTTP " + answer.status);
  return answer.json();
}

let answeredAt;
/* What is shown is old from here on, and says so; nothing old looks good. */
function showSilence() {
  const state = byId("state");
  state.textContent = "does not answer" +
    (answeredAt === undefined ? "" : "; the numbers are those of " + time(answeredAt) + " UTC");
  state.className = "bad";
  const verdict = byId("balance");
  verdict.textContent = "not known now: the agent does not answer";
  verdict.className = "dim";
  byId("shown").className = "stale";
}
/* Asks for the token; what was shown goes. */
function showLogin(why) {
  byId("login").hidden = false;
  byId("shown").hidden = true;
  byId("why").textContent = sessionStorage.getItem(TOKEN) ? why : "";
  byId("state").textContent = "asks for a token";
  byId("state").className = "dim";
  byId("token").focus();
}
byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, byId("token").value.trim());
  byId("token").value = "";
  byId("login").hidden = true;
  byId("shown").hidden = false;
  refresh();
});
async function refresh() {
  try {
    const [status, ledger, recent] = await Promise.all(["/v1/status", "/v1/ledger", "/v1/alerts"].map(ask));
    showStatus(status);
    showLedger(ledger);
    showAlerts(recent.alerts);
    byId("shown").className = "";
    answeredAt = status.clock.now;
  } catch (error) {
    if (error instanceof Unauthorised) return showLogin(error.message);
    showSilence();
  }
  setTimeout(refresh, REFRESH_MS);
}
refresh();
`;

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>weir</title>
<style>${style}</style>
</head>
<body>
<header><h1 id="agent">weir</h1><strong id="state" class="dim">asking</strong><span id="version" class="dim"></span></header>
<noscript><p>This page needs JavaScript; /v1/status and /v1/ledger do not.</p></noscript>
<form id="login" hidden>
<p><label>Token <input id="token" type="password" autocomplete="off" required></label> <button>Show</button></p>
<p id="why" class="bad" role="alert"></p>
</form>
<main id="shown">
<div id="reasons" role="status"></div>
<dl id="facts"></dl>
<div id="notices" role="status"></div>
<h2>Ledger <small class="dim">since the data directory began</small></h2>
<p id="balance" class="dim"></p>
<div class="wide"><table id="sources"></table></div>
<p></p>
<div class="wide"><table id="pipelines"></table></div>
<h2>Last alerts <small class="dim">since start</small></h2>
<div class="wide"><table id="alerts"></table></div>
<section id="elsewhere" hidden>
<h2>Brokers elsewhere <small class="dim">since start</small></h2>
<div class="wide"><table id="brokers"></table></div>
</section>
<h2>Uplinks</h2>
<div class="wide"><table id="uplinks"></table></div>
</main>
</body>
<script>${script}</script>
</html>
`;

const policy = [
  "default-src 'none'",
  `script-src '${hashOf(script)}'`,
  `style-src '${hashOf(style)}'`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export const statusPage: Reply = {
  code: 200,
  type: "text/html; charset=utf-8",
  body: page,
  headers: { "Content-Security-Policy": policy },
};

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
