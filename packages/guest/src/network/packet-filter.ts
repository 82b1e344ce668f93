import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import type { Tools } from '../tool/tools.js';
import { keepLoopback } from './filter-loopback.js';
import { parseFilterText, writeFilterText } from './filter-text.js';
import type { Family } from './network-values.js';

const prefixes: Readonly<Record<Family, string>> = { v4: 'iptables', v6: 'ip6tables' };

/** The guest's packet filter, in the form of `iptables-save`. */
export function readPacketFilter(family: Family, tools: Tools): Promise<Buffer> {
  return save(family, tools, []);
}

async function save(family: Family, tools: Tools, args: readonly string[]): Promise<Buffer> {
  const { status, stdout, stderr } = await tools.run(tool(family, 'save'), args);
  if (status === 0) return stdout;
  throw new GuestError('internal', `${prefixes[family]}-save: ${stderr}`);
}

/**
 * The text that iptables-restore is given for a request's. Under `allow` only what would run a program is refused.
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
 * Replaces the tables that `rules` names, all of them or none: the text is tried out first, and what was there comes
 * back, with its counters, when a table is refused after another was set.
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
  const message = `${prefixes[family]}-restore: ${set.stderr}; and what was there before could not be put back: ${back.stderr}`;
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
