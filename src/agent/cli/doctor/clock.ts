/**
 * The clock: is it one that the agent believes, does somebody keep it right, and what is it after a
 * power failure? Readings without a time of their own get this one.
 *
 * Node cannot ask the kernel (adjtimex) whether the clock is synchronised, so who keeps it is asked:
 * systemd-timesyncd by the file it leaves, timedatectl, chrony.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Clock } from "../../../core/doors.ts";
import { limits } from "../../../core/limits.ts";
import type { Millis } from "../../../core/units.ts";
import { ClockTrust } from "../../clock-trust.ts";
import { advice, fault, type Finding, ok } from "./finding.ts";
import type { Machine } from "./machine.ts";

const area = "clock";

export type ClockOptions = {
  readonly clock: Clock;
  readonly machine: Machine;
  /** The newest clock that an agent with this data believed. */
  readonly newest: Millis | undefined;
  /** Both clocks when the doctor began. */
  readonly began: { readonly now: number; readonly monotonic: number };
  /** What another program prints; undefined where it is not there. Default: `printed`. */
  readonly ask?: (program: string, args: readonly string[]) => Promise<string | undefined>;
};

export async function clockFindings(options: ClockOptions): Promise<readonly Finding[]> {
  return [credible(options), await synchronised(options), await kept(options)];
}

function credible({ clock, newest, began }: ClockOptions): Finding {
  const about = { area, place: "time of day" };
  const now = clock.now();
  const said = `it says ${isoOf(now)}`;
  if (!new ClockTrust(newest).isTrusted(now)) {
    const why =
      now < limits.clockFloorMs
        ? "and this program is younger than that"
        : `and an agent with this data has seen ${isoOf(newest ?? 0)}`;
    return fault(
      about,
      `${said}, ${why}: nothing can be compared with it`,
      "set the clock, and see that something keeps it right (NTP, a GPS, an RTC with a battery); the agent runs meanwhile, and puts nothing into quarantine",
    );
  }
  const jumpedMs = now - began.now - (clock.monotonic() - began.monotonic);
  if (Math.abs(jumpedMs) > limits.doctorClockMs) {
    return advice(
      about,
      `${said}, and was set by ${Math.round(jumpedMs)} ms while it was looked at`,
      "see who sets it: NTP slews, and steps at the start alone",
    );
  }
  return ok(about, said);
}

async function synchronised({ machine, ask = printed }: ClockOptions): Promise<Finding> {
  const about = { area, place: "synchronisation" };
  if ((await machine.list("run/systemd/timesync")).includes("synchronized")) {
    return ok(about, "systemd-timesyncd has synchronised it since the start of the machine");
  }
  const chrony = await ask("chronyc", ["-c", "tracking"]);
  const leap = chrony?.trim().split(",").at(-1);
  if (leap === "Normal") return ok(about, "chrony keeps it synchronised");
  const kernel = (await ask("timedatectl", ["show", "--property=NTPSynchronized", "--value"]))
    ?.trim()
    .toLowerCase();
  if (kernel === "yes") return ok(about, "the kernel says that it is synchronised");
  const remedy =
    "install and start a time service (systemd-timesyncd, chrony); where there is no network, a GPS or an RTC with a battery";
  if (leap !== undefined) return advice(about, `chrony says: ${leap}`, remedy);
  if (kernel === "no") return advice(about, "the kernel says that it is not synchronised", remedy);
  return advice(about, "nobody says whether it is synchronised", remedy);
}

/** What the clock begins with after a power failure. */
async function kept({ machine, clock }: ClockOptions): Promise<Finding> {
  const about = { area, place: "after a power failure" };
  const clocks = (await machine.list("sys/class/rtc")).filter((name) => /^rtc\d+$/.test(name));
  for (const name of clocks) {
    const seconds = await machine.number(`sys/class/rtc/${name}/since_epoch`);
    if (seconds === undefined) continue;
    const offMs = Math.abs(seconds * 1_000 - clock.now());
    if (offMs <= limits.doctorClockMs + 1_000) return ok(about, `${name} keeps the time`);
    return advice(
      about,
      `${name} says ${isoOf(seconds * 1_000)}, which is not what the system says`,
      "write the time to it (hwclock --systohc), and look at its battery",
    );
  }
  const remembers =
    (await machine.text("etc/fake-hwclock.data")) !== undefined ||
    (await machine.list("var/lib/systemd/timesync")).includes("clock");
  const remedy =
    "add an RTC with a battery, or have devices send the time of their readings; until the clock is set the agent puts nothing into quarantine";
  return remembers
    ? advice(about, "there is no RTC: the clock goes on where it stopped", remedy)
    : advice(about, "there is no RTC: the clock may begin in 1970", remedy);
}

/** What a program prints, of its standard output; undefined where it fails, or is not there in time. */
export async function printed(
  program: string,
  args: readonly string[],
): Promise<string | undefined> {
  const child = spawn(program, [...args], {
    stdio: ["ignore", "pipe", "ignore"],
    timeout: limits.doctorAskMs,
    killSignal: "SIGKILL",
  });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (out.length < limits.doctorTextBytesMax) out += text;
  });
  try {
    const ended: readonly unknown[] = await once(child, "close");
    return ended[0] === 0 ? out : undefined;
  } catch {
    return undefined; // there is no such program
  }
}

export function isoOf(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
}
