import type { MethodName } from '@kata-agent/catalogue';
import { callNames } from './call-names.js';
import { imageProcessName } from './image-process-name.js';
import type { RuleName } from './rule-name.js';
import { shorthands } from './shorthands.js';

/** All names available in rules, with their meanings. The reference page is generated from it. */
export const ruleNames: readonly RuleName[] = [...callNames, ...shorthands];

/** Returns the names available for one method. */
export function namesFor(method: MethodName): ReadonlyMap<string, RuleName> {
  return new Map(
    [...ruleNames, imageProcessName]
      .filter(({ methods }) => methods.includes(method))
      .map((name) => [name.name, name]),
  );
}
