import { isIP } from 'node:net';
import { isLocalhostName } from '@kata-agent/catalogue/localhost-names';
import { GuestError } from '../guest-error.js';
import { isLoopbackAddress } from '../network/loopback.js';
import { quotedPath } from '../quoted.js';

const resolvConfFile = '/etc/resolv.conf';

const domain = /^(\.|[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?)$/;

/** What may follow each keyword. */
const keywords: ReadonlyMap<string, (words: readonly string[]) => boolean> = new Map([
  ['nameserver', ([address = '', ...more]) => more.length === 0 && isNameserver(address)],
  ['domain', ([name = '', ...more]) => more.length === 0 && domain.test(name)],
  ['search', (names) => names.every((name) => domain.test(name))],
  ['sortlist', (pairs) => pairs.every((pair) => /^[0-9.]+(\/[0-9.]+)?$/.test(pair))],
  ['options', (options) => options.every(isOption)],
]);

/** Options of glibc and musl (resolv.conf(5)), but for `trust-ad`: a nameserver's statement that an answer is authentic comes from the host. */
const options: ReadonlySet<string> = new Set([
  'debug',
  'rotate',
  'no-check-names',
  'inet6',
  'ip6-bytestring',
  'ip6-dotint',
  'no-ip6-dotint',
  'edns0',
  'single-request',
  'single-request-reopen',
  'no-tld-query',
  'use-vc',
  'no-reload',
  'no-aaaa',
  'strict-error',
]);

const hostnameFile = '/etc/hostname';

/** Bounds of a file that is read line by line in a container. musl cuts lines of hosts at 511 bytes, and reads on after the cut. */
export const maxContentBytes: number = 64 * 1024;

const maxLineBytes = 500;

/** The addresses of all interfaces, in their one form: a connection to one of them is one to loopback. */
const unspecified: ReadonlySet<string> = new Set(['0.0.0.0', '::', '::ffff:0:0']);

/** What a hosts file may say. */
export interface HostsRules {
  /** Of the sandbox; empty: it has none. */
  readonly hostname: string;
  /** The addresses of the guest's interfaces, in their one form. */
  readonly addresses: ReadonlySet<string>;
  /** Further names, in lower case, each with its addresses. The name `*` is each name without an entry, the address `*` each one but this machine's. */
  readonly aliases: ReadonlyMap<string, readonly string[]>;
}

const hostsFile = '/etc/hosts';

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
  for (const line of textLines(bytes, hostsFile)) {
    const [text = ''] = line.text.split('#');
    const [given, ...names] = wordsOf(text);
    if (given === undefined) continue;
    const address = canonicalAddress(given);
    if (address === undefined)
      throw lineError(hostsFile, line, 'it does not begin with an IP address', 'write ADDRESS NAME…');
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
    hostsFile,
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

/** Returns the one form of an IP address without a zone; undefined: it is not one. IPv4 has four decimal numbers without leading zeros. */
export function canonicalAddress(text: string): string | undefined {
  if (text.includes('%')) return undefined;
  switch (isIP(text)) {
    case 4:
      return text;
    case 6:
      return new URL(`http://[${text}]/`).hostname.slice(1, -1);
    default:
      return undefined;
  }
}

/** Reports whether an address, in its one form, is the machine itself. Not so IPv4 in IPv6, which libraries take in several ways. */
function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

/**
 * Reports whether a connection to an address, in its one form, may reach the machine itself: loopback, also as IPv4 in IPv6, which glibc
 * returns as IPv4, or the address of all interfaces.
 */
function isThisMachine(address: string): boolean {
  return unspecified.has(address) || isLoopbackAddress(address);
}

/** A line of a file, without its comment. */
interface TextLine {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

/** Creates an error about a line of a file: refused, with the line as it is. */
function lineError(file: string, { number, text }: TextLine, why: string, help: string): GuestError {
  return new GuestError('refused', `line ${number} of ${file}, ${quotedPath(text)}: ${why}; help: ${help}`);
}

/**
 * Returns the lines of a file. Only printable ASCII, spaces and tabs in lines of limited length, so that each C library reads the same
 * as the agent: they differ in NUL, in carriage return, and in where they cut a line.
 *
 * @param file its path in the container, for errors
 */
function textLines(bytes: Uint8Array, file: string): readonly TextLine[] {
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((text, index) => {
    const line = { number: index + 1, text };
    if (/[^\t\x20-\x7e]/.test(text))
      throw lineError(file, line, 'it has a byte that is neither printable ASCII nor a tab', 'remove it');
    if (text.length > maxLineBytes)
      throw lineError(file, line, `it is longer than ${maxLineBytes} bytes`, 'write several lines');
    return line;
  });
}

/** Returns the words of a line, which spaces and tabs separate. */
function wordsOf(text: string): readonly string[] {
  return text.split(/[ \t]+/).filter((word) => word !== '');
}

/**
 * Checks that a file has the hostname of the sandbox, or any one if the sandbox has none. An empty file says nothing.
 *
 * @throws GuestError `refused`
 */
export function checkHostnameFile(bytes: Uint8Array, hostname: string): void {
  // It names no host.
  if (bytes.length === 0) return;
  const lines = textLines(bytes, hostnameFile);
  const [line = { number: 1, text: '' }, second] = lines;
  if (second !== undefined) throw lineError(hostnameFile, second, 'the file has one line', 'remove it');
  const fits = hostname === '' ? /^[A-Za-z0-9_.-]{0,255}$/.test(line.text) : line.text === hostname;
  if (fits) return;
  const expected =
    hostname === '' ? 'a hostname' : `the hostname of the sandbox, ${JSON.stringify(hostname)}`;
  throw lineError(hostnameFile, line, `it is not ${expected}`, 'write the hostname that CreateSandbox has');
}

function isOption(option: string): boolean {
  return options.has(option) || /^(ndots|timeout|attempts):[0-9]{1,3}$/.test(option);
}

function isNameserver(address: string): boolean {
  const [plain = '', zone, ...more] = address.split('%');
  return (
    more.length === 0 && isIP(plain) !== 0 && (zone === undefined || /^[A-Za-z0-9_.-]{1,15}$/.test(zone))
  );
}

/**
 * Checks a resolv.conf. Nameservers and domains are the host's to choose, as the network is.
 *
 * @throws GuestError `refused`, with the first line that is something else.
 */
export function checkResolvConf(bytes: Uint8Array): void {
  for (const line of textLines(bytes, resolvConfFile)) {
    if (/^[#;]/.test(line.text)) continue;
    const [keyword, ...words] = wordsOf(line.text);
    if (keyword === undefined) continue;
    // The resolvers look for keywords at the begin of a line.
    const isKnown = /^[a-z]/.test(line.text) && keywords.get(keyword)?.(words) === true;
    if (isKnown) continue;
    throw lineError(
      resolvConfFile,
      line,
      'it is not a nameserver, domain, search, sortlist or options that this agent knows',
      'write a line of resolv.conf(5); trust-ad is not one of the options, since the nameserver is the host’s',
    );
  }
}
