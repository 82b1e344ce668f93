import { isLocalhostName } from '@kata-agent/catalogue/localhost-names';
import { lineError, type TextLine, textLines, wordsOf } from './believed-text.js';
import { canonicalAddress, isLoopback, isThisMachine } from './ip-address.js';

/** What a hosts file may say. */
export interface HostsRules {
  /** Of the sandbox; empty: it has none. */
  readonly hostname: string;
  /** The addresses of the guest's interfaces, in their one form. */
  readonly addresses: ReadonlySet<string>;
  /** Further names, in lower case, each with its addresses. The name `*` is each name without an entry, the address `*` each one but this machine's. */
  readonly aliases: ReadonlyMap<string, readonly string[]>;
}

const file = '/etc/hosts';

/** Names of groups of IPv6 addresses, as the kubelet and Debian write them. */
const groups: ReadonlyMap<string, readonly string[]> = new Map([
  ['ip6-localnet', ['fe00::', 'ff00::']],
  ['ip6-mcastprefix', ['fe00::', 'ff00::']],
  ['ip6-allnodes', ['fe00::1', 'ff02::1']],
  ['ip6-allrouters', ['fe00::2', 'ff02::2']],
  ['ip6-allhosts', ['ff02::3']],
]);

const hostName = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?$/;

/** A hosts file that was checked. */
export interface CheckedHosts {
  readonly bytes: Buffer;
  /** The addresses of the pod's own name, without loopback's, in their one form. */
  readonly ownAddresses: readonly string[];
}

/**
 * Checks a hosts file, and returns it with what is missing: lines for localhost, for each name that has one address or several in `aliases`,
 * and for the pod's own name. They would be asked for at the nameserver, which is the host's.
 *
 * @throws GuestError `refused`, with the first line that says something else.
 */
export function checkedHosts(bytes: Uint8Array, rules: HostsRules): CheckedHosts {
  const present = new Set<string>();
  const ownAddresses = new Set<string>();
  const hostname = rules.hostname.toLowerCase();
  for (const line of textLines(bytes, file)) {
    const [text = ''] = line.text.split('#');
    const [given, ...names] = wordsOf(text);
    if (given === undefined) continue;
    const address = canonicalAddress(given);
    if (address === undefined)
      throw lineError(file, line, 'it does not begin with an IP address', 'write ADDRESS NAME…');
    for (const name of names) {
      const fault = faultOf(name, address, rules);
      if (fault !== undefined) throw faultAt(line, name, fault);
      if (isOwn(plainName(name), hostname) && !isLoopback(address)) ownAddresses.add(address);
      // musl compares names byte by byte, and reads no line that begins with white space.
      if (/^\s/.test(line.text)) continue;
      const isOfLocalhost = name === 'localhost' && address !== '::1';
      present.add(`${name} ${isOfLocalhost ? '127.0.0.1' : address}`);
    }
  }
  const missing = wantedLines(rules, present).filter(([address, name]) => !present.has(`${name} ${address}`));
  const text = Buffer.from(bytes).toString('latin1');
  const lines = missing.map(([address, name]) => `${address}\t${name}\n`);
  const end = text === '' || text.endsWith('\n') ? '' : '\n';
  return { bytes: Buffer.from([text, end, ...lines].join(''), 'latin1'), ownAddresses: [...ownAddresses] };
}

/** Returns the lines that a file must have: address and name. */
function wantedLines(
  { hostname, aliases }: HostsRules,
  present: ReadonlySet<string>,
): readonly (readonly [address: string, name: string])[] {
  const hasOwn = [...present].some((each) => each.startsWith(`${hostname} `));
  const ofAliases = [...aliases].flatMap(([name, addresses]) =>
    addresses.flatMap((each) => {
      const address = canonicalAddress(each);
      return name === '*' || address === undefined ? [] : [[address, name] as const];
    }),
  );
  return [
    ['127.0.0.1', 'localhost'],
    ['::1', 'localhost'],
    ...(hasOwn || !hostName.test(hostname) ? [] : [['127.0.0.1', hostname] as const]),
    ...ofAliases,
  ];
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function faultAt(line: TextLine, name: string, why: string): ReturnType<typeof lineError> {
  return lineError(
    file,
    line,
    why,
    `remove the name, or list it: host_aliases = { ${JSON.stringify(name.toLowerCase())} = ["ADDRESS"] } in [agent]`,
  );
}

/** Returns why a name may not have an address; undefined: it may. */
function faultOf(name: string, address: string, rules: HostsRules): string | undefined {
  if (!hostName.test(name)) return `${JSON.stringify(name)} is not a host name`;
  const plain = plainName(name);
  if (isLocalhostName(plain))
    return isLoopback(address) ? undefined : `${name} has loopback addresses only, 127.0.0.0/8 and ::1`;
  if (groups.get(plain)?.includes(address) === true || isListed(plain, address, rules)) return undefined;
  if (!isOwn(plain, rules.hostname.toLowerCase()))
    return `${name} is neither a name of localhost, nor the pod's own, nor with this address in host_aliases`;
  return isLoopback(address) || rules.addresses.has(address)
    ? undefined
    : `${name} is the pod itself, and ${address} is no address of it`;
}

/** Reports whether a name is the pod's: its hostname, with or without a domain. */
function isOwn(name: string, hostname: string): boolean {
  return (
    hostname !== '' &&
    (name === hostname || name.startsWith(`${hostname}.`) || hostname.startsWith(`${name}.`))
  );
}

/** A name that is listed has the addresses there alone; `*` is for the others. */
function isListed(name: string, address: string, { aliases }: HostsRules): boolean {
  const listed = aliases.get(name) ?? aliases.get('*') ?? [];
  return listed.some((each) => (each === '*' ? !isThisMachine(address) : canonicalAddress(each) === address));
}
