/** Remote addresses: the host in one, and what of the network one host has for itself. */

/** What one host has for itself: an IPv4 address, or a /64 of IPv6. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  const [head = "", tail] = address.split("%")[0]!.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  const groups = tail === undefined ? left : [...left, ...zeros, ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}

/** The host of "address:port". */
export function hostOf(remote: string): string {
  const host = remote.slice(0, Math.max(0, remote.lastIndexOf(":")));
  return host.replace(/^\[(.*)\]$/, "$1");
}
