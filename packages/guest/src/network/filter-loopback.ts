import { isIP } from 'node:net';
import { GuestError } from '../error/guest-error.js';
import { declaredChain, isChainName, parseRule } from './filter-rule.js';
import type { FilterTable } from './filter-text.js';
import { holdsLoopback, isLoopbackAddress, rangeHoldsLoopback, refusedLoopback } from './loopback.js';
import type { Family } from './network-values.js';
import { quotedWord } from '../quoted.js';

/**
 * Targets that change a connection's destination, the chains where iptables accepts them, and where a guard rule is
 * needed.
 */
interface Guarded {
  readonly targets: ReadonlySet<string>;
  /** The chain in which a connection to loopback would reach them first. */
  readonly chain: string;
}

const guarded: ReadonlyMap<string, Guarded> = new Map([
  // Connections to loopback are locally generated: nat decides on them in OUTPUT and not again in PREROUTING.
  ['nat', { targets: new Set(['DNAT', 'NETMAP', 'REDIRECT']), chain: 'OUTPUT' }],
  ['mangle', { targets: new Set(['TPROXY']), chain: 'PREROUTING' }],
]);
const redirecting: ReadonlySet<string> = new Set([...guarded.values()].flatMap((each) => [...each.targets]));

/**
 * Targets that do not change a packet's destination, in addition to those that redirect a connection. Not here are TEE,
 * which sends a copy of each packet to a gateway, DNPT and SNPT, which translate without the table nat, and unknown
 * targets.
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
 * Enforces S34 on the packet filter. Rules may redirect connections, as service meshes do, but none to loopback
 * addresses (a service at 127.0.0.1 would be open to the host), and none away from them: a table that redirects gets a
 * first rule that exempts them. No target may copy or translate packets in another way.
 *
 * @throws GuestError `refused` for a command, a target or an address; `invalid` for another form than iptables-save's.
 */
export function keepLoopback(tables: readonly FilterTable[], family: Family): readonly FilterTable[] {
  const names = tables.map(({ name }) => name);
  // Whether the guard of one also guards the other would depend on their order.
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new GuestError('invalid', `rules: table ${twice} appears twice`);
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
  // A text that was read back from the guest has the guard already.
  const others = table.commands.filter(({ words }) => words.join(' ') !== ['-A', ...guard].join(' '));
  return { ...table, commands: [...others, { line: 0, counters: '', words: ['-I', ...guard] }] };
}

function checkTarget(target: string, ownChains: ReadonlySet<string>, line: number): void {
  if (targets.has(target) || (ownChains.has(target) && isChainName(target))) return;
  const name = quotedWord(target);
  const reason = ownChains.has(target)
    ? 'is a chain with the name of a target; help: give the chain a name with a small letter, "_" or "-"'
    : redirecting.has(target)
      ? 'is refused in this table'
      : 'is refused under privileged_containers = "refuse"; help: jump to a chain that a line ":NAME - [0:0]" before declares, or to a target that leaves packets where they go';
  throw new GuestError('refused', `rules, line ${line}: target ${name} ${reason}`);
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
      `rules, line ${line}: ${quotedWord(value)} must be an address, a range or a network as iptables-save writes them`,
    );
  }
  if (prefix !== undefined && holdsLoopback(first, width)) return true;
  return first === last ? isLoopbackAddress(first) : rangeHoldsLoopback(first, last);
}
