import { isIP } from 'node:net';
import { GuestError } from '../guest-error.js';
import { declaredChain, isChainName, parseRule } from './filter-rule.js';
import type { FilterTable } from './filter-text.js';
import { holdsLoopback, isLoopbackAddress, rangeHoldsLoopback, refusedLoopback } from './loopback.js';
import type { Family } from './network-values.js';

/** Targets that give a connection another destination, where iptables takes them, and where a guard is needed. */
interface Guarded {
  readonly targets: ReadonlySet<string>;
  /** Where a connection to loopback would meet them first. */
  readonly chain: string;
}

const guarded: ReadonlyMap<string, Guarded> = new Map([
  // A process of the guest connects here; what nat has decided once it does not decide again in PREROUTING.
  ['nat', { targets: new Set(['DNAT', 'NETMAP', 'REDIRECT']), chain: 'OUTPUT' }],
  ['mangle', { targets: new Set(['TPROXY']), chain: 'PREROUTING' }],
]);
const redirecting: ReadonlySet<string> = new Set([...guarded.values()].flatMap((each) => [...each.targets]));

/**
 * Targets that leave a packet where it goes, beside those that redirect a connection. Not here are TEE, which sends a copy
 * of each packet to a gateway, DNPT and SNPT, which translate without the table nat, and what nobody here knows.
 */
const targets: ReadonlySet<string> = new Set([
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
  'TRACE',
  'TTL',
]);

const loopback: Readonly<Record<Family, string>> = { v4: '127.0.0.0/8', v6: '::1/128' };

/**
 * S34 for the packet filter. Rules may redirect connections, which service meshes are made of, but none to loopback
 * addresses (a service at 127.0.0.1 would be open to the host), and none away from them: a table that redirects gets
 * a first rule that takes them out. No target may copy or translate packets in another way.
 *
 * @throws GuestError `refused` for a command, a target or an address; `invalid` for another form than iptables-save's.
 */
export function keepLoopback(tables: readonly FilterTable[], family: Family): readonly FilterTable[] {
  const names = tables.map(({ name }) => name);
  // A guard of one would be a guard of the other by the order alone.
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new GuestError('invalid', `rules: table ${twice} is there twice`);
  return tables.map((table) => keepLoopbackIn(table, family));
}

function keepLoopbackIn(table: FilterTable, family: Family): FilterTable {
  const chains = new Set(table.chains.map(({ name }) => name));
  const here = guarded.get(table.name);
  let redirects = false;
  for (const command of table.commands) {
    const declared = declaredChain(command);
    if (declared !== undefined) {
      chains.add(declared);
      continue;
    }
    for (const { name, values } of parseRule(command).options) {
      if (name === 'jump' || name === 'goto') {
        const target = values.join(' ');
        if (here?.targets.has(target) === true) redirects = true;
        else checkTarget(target, chains, command.line);
      } else if (/^(?:to|on)/.test(name) && !name.startsWith('tos')) {
        // --to-destination, --to-source, --to-ports, --to and --on-ip, in full or shortened; --tos is another matter.
        for (const value of values) refuseLoopbackValue(name, value, command.line);
      }
    }
  }
  return here !== undefined && redirects
    ? withGuard(table, [here.chain, '-d', loopback[family], '-j', 'ACCEPT'])
    : table;
}

/** No rule after the guard, which comes first, sees a connection to loopback. */
function withGuard(table: FilterTable, guard: readonly string[]): FilterTable {
  // A text that was read back from the guest has it already.
  const others = table.commands.filter(({ words }) => words.join(' ') !== ['-A', ...guard].join(' '));
  return { ...table, commands: [...others, { line: 0, counters: '', words: ['-I', ...guard] }] };
}

function checkTarget(target: string, ownChains: ReadonlySet<string>, line: number): void {
  if (targets.has(target) || (ownChains.has(target) && isChainName(target))) return;
  const name = JSON.stringify(target.slice(0, 80));
  const why = ownChains.has(target)
    ? 'is a chain with the name of a target; help: give the chain a name with a small letter, "_" or "-"'
    : redirecting.has(target)
      ? 'is refused in this table'
      : 'is refused under privileged_containers = "refuse"; help: jump to a chain that a line ":NAME - [0:0]" before declares, or to a target that leaves packets where they go';
  throw new GuestError('refused', `rules, line ${line}: target ${name} ${why}`);
}

function refuseLoopbackValue(option: string, value: string, line: number): void {
  if (leadsToLoopback(value, line)) throw refusedLoopback(`rules, line ${line}: --${option} ${value}`);
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
  if (prefix !== undefined && holdsLoopback(first, width)) return true;
  return first === last ? isLoopbackAddress(first) : rangeHoldsLoopback(first, last);
}
