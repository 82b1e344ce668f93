import { isIP } from 'node:net';
import { GuestError } from '../guest-error.js';
import { argumentsOf, type FilterCommand, type FilterTable } from './filter-text.js';
import { holdsLoopback, rangeHoldsLoopback, refusedLoopback } from './loopback.js';
import type { Family } from './network-values.js';

/** Targets that translate a destination. */
const redirecting: ReadonlySet<string> = new Set(['DNAT', 'NETMAP', 'REDIRECT']);

/**
 * Targets that leave a packet where it goes, beside those that translate addresses. Not here are TEE, which sends a copy
 * of each packet to a gateway, DNPT and SNPT, which translate without the table nat, and what nobody here knows.
 */
const targets: ReadonlySet<string> = new Set([
  ...redirecting,
  'ACCEPT',
  'AUDIT',
  'CHECKSUM',
  'CLASSIFY',
  'CONNMARK',
  'CT',
  'DROP',
  'DSCP',
  'ECN',
  'HL',
  'LOG',
  'MARK',
  'MASQUERADE',
  'NFLOG',
  'NFQUEUE',
  'NOTRACK',
  'REJECT',
  'RETURN',
  'SET',
  'SNAT',
  'TCPMSS',
  'TOS',
  'TPROXY',
  'TRACE',
  'TTL',
]);

/** Comes first where a process of the guest connects: no rule after it sees a connection to loopback. */
const guards: Readonly<Record<Family, readonly string[]>> = {
  v4: ['OUTPUT', '-d', '127.0.0.0/8', '-j', 'ACCEPT'],
  v6: ['OUTPUT', '-d', '::1/128', '-j', 'ACCEPT'],
};

/**
 * S34 for the packet filter. Rules may redirect connections, which service meshes are made of, but none to loopback
 * addresses (a service at 127.0.0.1 would be open to the host), and none away from them: a table `nat` that redirects gets
 * a first rule that takes them out. No target may copy or translate packets in another way.
 *
 * @throws GuestError `refused` for a target or an address; `invalid` for an address in another form than iptables-save's.
 */
export function keepLoopback(tables: readonly FilterTable[], family: Family): readonly FilterTable[] {
  return tables.map((table) => {
    const own = new Set([
      ...table.chains.map(({ name }) => name),
      ...table.commands.flatMap(({ words }) => argumentsOf(words, 'New-chain')),
    ]);
    for (const command of table.commands) check(command, own);
    const redirects = table.commands.some((command) =>
      targetsOf(command).some((target) => redirecting.has(target)),
    );
    return table.name === 'nat' && redirects ? withGuard(table, guards[family]) : table;
  });
}

function withGuard(table: FilterTable, guard: readonly string[]): FilterTable {
  // A text that was read back from the guest has it already.
  const others = table.commands.filter(({ words }) => words.join(' ') !== ['-A', ...guard].join(' '));
  return { ...table, commands: [...others, { line: 0, counters: '', words: ['-I', ...guard] }] };
}

function check(command: FilterCommand, ownChains: ReadonlySet<string>): void {
  const { line, words } = command;
  const unknown = targetsOf(command).find((target) => !targets.has(target) && !ownChains.has(target));
  if (unknown !== undefined) {
    throw new GuestError(
      'refused',
      `rules, line ${line}: target ${JSON.stringify(unknown.slice(0, 80))} is refused under privileged_containers = "refuse"`,
    );
  }
  for (const [index, word] of words.entries()) {
    const [option = '', value = words[index + 1] ?? ''] = word.split(/=(.*)/s);
    // --to-destination, --to-source, --to-ports, --to and --on-ip, in full or shortened; --tos is another matter.
    if (!/^--(?:to|on)/.test(option) || option.startsWith('--tos')) continue;
    if (leadsToLoopback(value, line)) throw refusedLoopback(`rules, line ${line}: ${option} ${value}`);
  }
}

function targetsOf({ words }: FilterCommand): readonly string[] {
  return argumentsOf(words, 'jump', 'goto');
}

/** `10.0.0.1-10.0.0.9:80-90/80`, `[fd00::1]-[fd00::9]:80`, `10.0.0.0/24`, `8080`, `:8080`. */
function leadsToLoopback(value: string, line: number): boolean {
  if (/^:?\d{1,5}(?:-\d{1,5}(?:\/\d{1,5})?)?$/.test(value)) return false;
  const found =
    /^\[([\da-f:.]+)\](?:-\[([\da-f:.]+)\])?(?::[\d/-]+)?$/i.exec(value) ??
    /^([\d.]+)(?:-([\d.]+))?(?:\/(\d{1,2}))?(?::[\d/-]+)?$/.exec(value) ??
    /^([\da-f:.]+)(?:-([\da-f:.]+))?(?:\/(\d{1,3}))?$/i.exec(value);
  const [, first = '', last = first, prefix] = found ?? [];
  const version = isIP(first);
  const bits = version === 4 ? 32 : 128;
  const width = prefix === undefined ? bits : Number(prefix);
  if (version === 0 || isIP(last) !== version || width > bits) {
    throw new GuestError(
      'invalid',
      `rules, line ${line}: ${JSON.stringify(value.slice(0, 80))} must be an address, a range or a network as iptables-save writes them`,
    );
  }
  return rangeHoldsLoopback(first, last) || holdsLoopback(first, width);
}
