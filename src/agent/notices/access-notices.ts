/** What a person should know of who tried what on the embedded broker; see notices.ts. */

import { limits } from "../../core/limits.ts";
import type { Notice } from "./notice.ts";
import type { Status } from "../status.ts";
import { counted } from "../../core/counted.ts";

export function accessNotices({ access, counters }: Status["mqtt"]): readonly Notice[] {
  const { problem, failedLogins } = access;
  const notices: Notice[] = [];
  if (problem !== undefined) notices.push({ code: "users_file", message: problem });
  if (failedLogins !== undefined) {
    const { address, count } = failedLogins;
    const minutes = limits.securityEventNoticeMs / 60_000;
    const message = `${counted(count, "login")} from ${address} failed in the last ${minutes} minutes`;
    notices.push({ code: "logins_failed", message });
  }
  if (counters === undefined) return notices;
  const { publishesDenied, willsDenied, subscriptionsDenied, connectionsLimited } = counters;
  const denied = publishesDenied + willsDenied + subscriptionsDenied;
  if (denied > 0) {
    const last = access.audit.findLast(({ topic }) => topic !== "");
    const who = last?.user === "" ? `a client at ${last.address}` : (last?.user ?? "a client");
    const message = `${denied} publishes, wills and subscriptions were refused since the start for want of rights, the last by ${who} of ${JSON.stringify(last?.topic ?? "")}: compare the rights in mqtt.users, certificates and anonymousRights`;
    notices.push({ code: "rights_missing", message });
  }
  if (connectionsLimited > 0) {
    const message = `${counted(connectionsLimited, "connection")} closed since the start because of an address that had or opened too many: see mqtt.quotas`;
    notices.push({ code: "connections_limited", message });
  }
  return notices;
}
