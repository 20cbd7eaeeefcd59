/**
 * Words for what answers in the place of whom we look for. A network that wants a login first (a hotel,
 * a train, a SIM card without credit) answers for everybody with a web page, or with TLS of its own.
 */

import { limits } from "./limits.ts";

/** Ends a sentence about an answer that is not what it should be. */
export const portalHint =
  "in a network that is not yours a captive portal may answer for it: log in there, or use another network";

/** Whether an answer begins as a web server's does: HTTP, or a page. At least four bytes are looked at. */
export function isWeb(bytes: Uint8Array): boolean {
  const start = String.fromCharCode(...bytes.subarray(0, 4)).toLowerCase();
  return ["http", "<!do", "<htm", "<?xm"].includes(start);
}

/**
 * What the gateway's clock has to do with a certificate that is out of its time. `text`: the clock as a
 * date, for people.
 */
export function clockHint(nowMs: number, text: string): string {
  return nowMs < limits.clockFloorMs
    ? `this gateway's clock says ${text}, which was before this software: it was never set. Set it, by NTP or by hand; no certificate can be checked before`
    : `this gateway's clock says ${text}`;
}
