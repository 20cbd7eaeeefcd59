/**
 * What an answer to a POST means. Pure.
 *
 *   2xx                       taken                       but not with a page: that is a portal's
 *   400 413 415 422           it does not take this body  smaller ones tell which record it is
 *   408 425 429 5xx           not now                     tried again, after Retry-After where it is said
 *   401 403                   a right is missing
 *   3xx 404 405 410 511, pages  somebody else answers, or the address is wrong; nothing is followed
 *
 * Source: RFC 9110, 15; 511 is RFC 6585, 6.
 */

import { Fault, type FaultCode } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Answer } from "./http-connection.ts";

export type Verdict =
  | { readonly kind: "taken" }
  /** `isSize`: it is too large; else something in it is not what the endpoint takes. */
  | { readonly kind: "unfit"; readonly isSize: boolean; readonly why: string }
  | { readonly kind: "failed"; readonly fault: Fault };

export type Endpoint = {
  /** For people. */
  readonly url: string;
  /** Whoever answers has shown a certificate: no portal has. */
  readonly isSecure: boolean;
};

export function verdictOf(answer: Answer, endpoint: Endpoint): Verdict {
  const { status } = answer;
  const why = `${status}${answer.words === "" ? "" : ` (${answer.words})`}`;
  if (status >= 200 && status < 300) {
    return isPage(answer) ? astray(answer, endpoint) : { kind: "taken" };
  }
  if (status === 413) return { kind: "unfit", isSize: true, why };
  if (status === 400 || status === 415 || status === 422) {
    return { kind: "unfit", isSize: false, why };
  }
  const { url } = endpoint;
  if (status === 401) {
    const remedy = "set token, or user and password, to what it knows";
    return failed("UPLINK_RIGHT_MISSING", `${url} refuses our login with ${why}: ${remedy}`);
  }
  if (status === 403) {
    const remedy = "let this login post there, or set another";
    return failed("UPLINK_RIGHT_MISSING", `${url} refuses what is posted with ${why}: ${remedy}`);
  }
  if (status === 511) return astray(answer, endpoint);
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    return notNow(answer, { url, why });
  }
  if (isElsewhere(status) || isPage(answer)) return astray(answer, endpoint);
  return failed("UPLINK_REFUSED", `${url} answers ${why}`);
}

function isElsewhere(status: number): boolean {
  return status < 400 || status === 404 || status === 405 || status === 410;
}

function isPage({ contentType }: Answer): boolean {
  return contentType === "text/html" || contentType === "application/xhtml+xml";
}

function notNow(
  { retryAfterMs }: Answer,
  { url, why }: { readonly url: string; readonly why: string },
): Verdict {
  if (retryAfterMs === undefined) return failed("UPLINK_REFUSED", `${url} answers ${why}`);
  const waitMs = Math.min(retryAfterMs, limits.postRetryAfterMsMax);
  const seconds = Math.ceil(waitMs / 1_000);
  const message = `${url} answers ${why}, and asks to be left alone for ${seconds} s`;
  const fault = new Fault("UPLINK_REFUSED", message, { facts: { retryAfterMs: waitMs } });
  return { kind: "failed", fault };
}

/** With TLS it is not the network: the endpoint itself has nothing there. */
function astray(answer: Answer, { url, isSecure }: Endpoint): Verdict {
  const { status, location } = answer;
  const to = location === undefined ? "" : ` to ${location}`;
  const what =
    status >= 300 && status < 400
      ? `leads elsewhere with ${status}${to}, which is not followed`
      : `answers ${status}${isPage(answer) ? " with a page for people" : ""}`;
  const reason = isSecure
    ? "nothing takes records at this address: correct url"
    : "perhaps a portal of the network wants a login, else nothing takes records at this address: correct url, best with https";
  return failed(isSecure ? "UPLINK_REFUSED" : "UPLINK_UNREACHABLE", `${url} ${what}; ${reason}`);
}

function failed(code: FaultCode, message: string): Verdict {
  return { kind: "failed", fault: new Fault(code, message) };
}
