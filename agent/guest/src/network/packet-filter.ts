import { isIP } from 'node:net';
import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';
import type { Tools } from '../tool/tools.js';
import { declaredChain, isChainName, parseRule } from './filter-rule.js';
import { type FilterTable, parseFilterText, writeFilterText } from './filter-text.js';
import { holdsLoopback, isLoopbackAddress, rangeHoldsLoopback, refusedLoopback } from './loopback.js';
import type { Family } from './network-values.js';

/** Targets that change a connection's destination, by the table where iptables accepts them. */
const redirecting: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['nat', new Set(['DNAT', 'NETMAP', 'REDIRECT'])],
  ['mangle', new Set(['TPROXY'])],
]);

const redirects: ReadonlySet<string> = new Set([...redirecting.values()].flatMap((each) => [...each]));

/**
 * Targets that neither change a packet's destination nor tell anybody about it, in addition to those that redirect a
 * connection. Not here are TEE, which sends a copy of each packet to a gateway, DNPT and SNPT, which translate without
 * the table nat, LOG, TRACE, AUDIT, NFLOG and NFQUEUE, which write about packets to the kernel log or pass them to
 * another program, and unknown targets.
 */
const targets: ReadonlySet<string> = new Set([
  'ACCEPT',
  'CHECKSUM',
  'CLASSIFY',
  'CONNMARK',
  'CT',
  'DROP',
  'DSCP',
  'ECN',
  'HL',
  'MARK',
  'MASQUERADE',
  'NOTRACK',
  'REJECT',
  'RETURN',
  'SET',
  'SNAT',
  'TCPMSS',
  'TOS',
  'TTL',
]);

/**
 * Matches that look at where a packet comes from and goes to, its connection and its owner: those of Kubernetes, Istio,
 * Linkerd and Calico, and what a firewall of a pod needs. Not here are those that look at its payload or its size
 * (string, u32, bpf, length, connbytes, quota), with which a rule would answer questions about what the pod says to
 * itself (S40), and unknown matches.
 */
const matches: ReadonlySet<string> = new Set([
  'addrtype',
  'comment',
  'connmark',
  'conntrack',
  'icmp',
  'icmp6',
  'icmpv6',
  'iprange',
  'limit',
  'mac',
  'mark',
  'multiport',
  'owner',
  'physdev',
  'pkttype',
  'rpfilter',
  'sctp',
  'set',
  'socket',
  'state',
  'statistic',
  'tcp',
  'tos',
  'udp',
]);

const loopback: Readonly<Record<Family, string>> = { v4: '127.0.0.0/8', v6: '::1/128' };

const prefixes: Readonly<Record<Family, string>> = { v4: 'iptables', v6: 'ip6tables' };

/**
 * Returns the guest's packet filter, in the form of `iptables-save`, with counters that are 0: those of the kernel would
 * count what the pod says to itself (S40).
 */
export async function readPacketFilter(family: Family, tools: Tools): Promise<Buffer> {
  return withoutCounters(await save(family, tools, []));
}

/** Sets the counters of chains, `:INPUT ACCEPT [12:3400]`, and of rules, `[5:300] -A …`, to 0. */
export function withoutCounters(saved: Buffer): Buffer {
  return Buffer.from(saved.toString('latin1').replace(/^(:\S+ \S+ )?\[\d+:\d+\]/gm, '$1[0:0]'), 'latin1');
}

async function save(family: Family, tools: Tools, args: readonly string[]): Promise<Buffer> {
  const { status, stdout, stderr } = await tools.run(tool(family, 'save'), args);
  if (status === 0) return stdout;
  throw new GuestError('internal', `${prefixes[family]}-save: ${stderr}`);
}

/**
 * Returns the input of iptables-restore for a request's text. Under `allow` only options that run a program are
 * refused.
 *
 * @throws GuestError as `parseFilterText` and `keepLoopback`.
 */
export function checkedFilter(
  family: Family,
  rules: Uint8Array,
  { privileged }: Pick<GuestAccess, 'privileged'>,
): Uint8Array {
  const tables = parseFilterText(rules);
  return writeFilterText(privileged === 'allow' ? tables : keepLoopback(tables, family));
}

/**
 * Replaces the tables that `rules` names, all or none: iptables-restore tests the text first, and if a table is refused after
 * another was set, the previous tables are restored with their counters.
 */
export async function replacePacketFilter(family: Family, rules: Uint8Array, tools: Tools): Promise<void> {
  const restore = tool(family, 'restore');
  const tried = await tools.run(restore, ['--test', '--wait'], rules);
  if (tried.status !== 0) throw refused(family, tried.stderr);
  const before = await save(family, tools, ['--counters']);
  const set = await tools.run(restore, ['--wait'], rules);
  if (set.status === 0) return;
  const back = await tools.run(restore, ['--wait', '--counters'], before);
  if (back.status === 0) throw refused(family, set.stderr);
  const message = `${prefixes[family]}-restore: ${set.stderr}; the previous tables could not be restored: ${back.stderr}`;
  throw new GuestError('internal', message);
}

function refused(family: Family, stderr: string): GuestError {
  return new GuestError('invalid', `${prefixes[family]}-restore refused the rules: ${stderr}`);
}

function tool(
  family: Family,
  verb: 'save' | 'restore',
): { readonly program: string; readonly package: string } {
  return { program: `${prefixes[family]}-${verb}`, package: 'iptables' };
}

/**
 * The first rules of a table with rules of a request: they exempt loopback. In `filter` and `security` all that the
 * interface lo carries, also connections of the pod to its own address; in the others the loopback addresses alone, since
 * service meshes redirect and mark connections of the pod to its own address.
 */
function guardsOf(table: string, family: Family): readonly (readonly string[])[] {
  const toLoopback = (chain: string): readonly string[] => [chain, '-d', loopback[family], '-j', 'ACCEPT'];
  switch (table) {
    case 'filter':
    case 'security':
      return [
        ['INPUT', '-i', 'lo', '-j', 'ACCEPT'],
        ['OUTPUT', '-o', 'lo', '-j', 'ACCEPT'],
      ];
    case 'nat':
      // A locally generated connection is translated in these two and not again in PREROUTING and INPUT.
      return ['OUTPUT', 'POSTROUTING'].map(toLoopback);
    case 'mangle':
      return ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'].map(toLoopback);
    default:
      return ['PREROUTING', 'OUTPUT'].map(toLoopback);
  }
}

/**
 * Enforces S34 and S40 on the packet filter. Rules may redirect connections, as service meshes do, but none to loopback
 * addresses (a service at 127.0.0.1 would be open to the host), and none away from them: a table with rules gets first
 * rules that exempt them. No target may copy or translate packets in another way or write about them, and no match looks
 * at their payload.
 *
 * @throws GuestError `refused` for a command, a target, a match or an address; `invalid` for another form than
 * iptables-save's.
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
  const here = redirecting.get(table.name);
  for (const command of table.commands) {
    const declared = declaredChain(command);
    if (declared !== undefined) {
      chains.add(declared);
      continue;
    }
    for (const { name, values } of parseRule(command).options) {
      if (name === 'jump' || name === 'goto') {
        const target = values.join(' ');
        if (here?.has(target) !== true) checkTarget(target, chains, command.line);
      } else if (name === 'match') {
        checkMatch(values.join(' '), command.line);
      } else if (/^(?:to|on)/.test(name) && !name.startsWith('tos')) {
        // --to-destination, --to-source, --to-ports, --to and --on-ip, in full or shortened; --tos is another matter.
        for (const value of values) refuseLoopbackValue(name, value, command.line);
      }
    }
  }
  return withGuards(table, guardsOf(table.name, family));
}

/** No rule or policy after the guards, which come first, sees a packet of loopback. */
function withGuards(table: FilterTable, guards: readonly (readonly string[])[]): FilterTable {
  // A text that was read back from the guest has the guards already.
  const added = new Set(guards.map((guard) => ['-A', ...guard].join(' ')));
  const others = table.commands.filter(({ words }) => !added.has(words.join(' ')));
  if (others.length === 0 && !table.chains.some(({ policy }) => policy === 'DROP'))
    return { ...table, commands: others };
  const commands = guards.map((guard) => ({ line: 0, counters: '', words: ['-I', ...guard] }));
  return { ...table, commands: [...others, ...commands] };
}

function checkMatch(match: string, line: number): void {
  if (matches.has(match)) return;
  const reason =
    'is refused under privileged_containers = "refuse"; help: match by protocol, address, port, interface, connection, mark or owner';
  throw new GuestError('refused', `rules, line ${line}: match ${quotedWord(match)} ${reason}`);
}

function checkTarget(target: string, ownChains: ReadonlySet<string>, line: number): void {
  if (targets.has(target) || (ownChains.has(target) && isChainName(target))) return;
  const name = quotedWord(target);
  const reason = ownChains.has(target)
    ? 'is a chain with the name of a target; help: give the chain a name with a small letter, "_" or "-"'
    : redirects.has(target)
      ? 'is refused in this table'
      : 'is refused under privileged_containers = "refuse"; help: jump to a chain that a line ":NAME - [0:0]" before declares, or to a target that leaves packets where they go and tells nobody about them';
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
