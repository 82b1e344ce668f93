/** Names that programs take for the machine itself: those of hosts files of distributions, without a final dot. */
const names: ReadonlySet<string> = new Set([
  'localhost',
  'localhost.localdomain',
  'localhost4',
  'localhost4.localdomain4',
  'localhost6',
  'localhost6.localdomain6',
  'ip6-localhost',
  'ip6-loopback',
  'ipv6-localhost',
  'ipv6-loopback',
]);

/** Reports whether a host name means the machine itself: one of those names, or one below `localhost.` (RFC 6761). */
export function isLocalhostName(name: string): boolean {
  const plain = name.toLowerCase().replace(/\.$/, '');
  return names.has(plain) || plain.endsWith('.localhost');
}
