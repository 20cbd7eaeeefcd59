/** Which hosts only this machine reaches: 127.0.0.0/8, ::1, their mapped forms, localhost. */

/** `host` is a name or an address, an IPv6 address with or without brackets; case does not matter. */
export function isLoopback(host: string): boolean {
  const plain = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  return /^(localhost|::1|(::ffff:)?127(\.\d{1,3}){3})$/.test(plain);
}
