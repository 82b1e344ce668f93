import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type { Inputs } from '@kata-agent/config';
import { type BuildFacts, buildFacts } from './build-facts.js';
import { version } from './version.js';

/** The methods with handlers in this program; undefined: all. */
export function builtInMethods({ leftOut }: BuildFacts = buildFacts): ReadonlySet<MethodName> | undefined {
  if (leftOut.length === 0) return undefined;
  return new Set(methodNames.filter((method) => !leftOut.includes(method)));
}

/** The built-in document, for the loader. */
export function builtInDocument({ builtFor, document }: BuildFacts = buildFacts): Inputs['builtIn'] {
  if (builtFor === undefined || document === undefined) return undefined;
  return { name: builtFor.name, bytes: new TextEncoder().encode(document) };
}

/** Returns the output of `--version`: only the version unless the build decided something. */
export function versionText(facts: BuildFacts = buildFacts): string {
  const { builtFor, document, leftOut, requireConfig } = facts;
  const lines = [version];
  if (builtFor !== undefined) lines.push(`built for ${builtFor.name}, sha256 ${builtFor.sha256}`);
  if (document !== undefined) lines.push('this document is built in; no other is read');
  else if (requireConfig) lines.push('does not start without a configuration');
  if (leftOut.length > 0) lines.push(`left out: ${leftOut.join(', ')}`);
  return lines.join('\n');
}
