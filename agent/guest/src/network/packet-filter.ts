import type { GuestAccess } from '../access/guest-access.js';
import { GuestError } from '../error/guest-error.js';
import type { Tools } from '../tool/tools.js';
import { keepLoopback } from './filter-loopback.js';
import { parseFilterText, writeFilterText } from './filter-text.js';
import type { Family } from './network-values.js';

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
