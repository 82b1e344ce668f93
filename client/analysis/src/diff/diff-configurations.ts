import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type { Configuration } from '@kata-agent/config';
import { compileGate, type Gate } from '@kata-agent/gate';
import { type Difference, subjects } from './difference.js';
import { endpointDifferences } from './endpoint-differences.js';
import { listenerDifferences } from './listener-differences.js';
import { pairListeners } from './pair-listeners.js';
import { ruleDifferences } from './rule-differences.js';
import { secretDifferences } from './secret-differences.js';
import { settingDifferences } from './setting-differences.js';
import { witnessDifferences } from './witness-differences.js';

/**
 * Returns what changes if `after` replaces `before`, and whether each change opens or closes. It compares decisions,
 * not texts: another notation of the same list is not a difference.
 */
export function diffConfigurations(before: Configuration, after: Configuration): readonly Difference[] {
  const pairs = pairListeners(before.listeners, after.listeners);
  const old = gateOf(before);
  const gate = gateOf(after);
  const found = [
    ...listenerDifferences(pairs, { before, after }),
    ...endpointDifferences(pairs, old, gate),
    ...ruleDifferences(before, after, servedBy(gate, after)),
    ...secretDifferences(before, after),
    ...witnessDifferences(before, after),
    ...settingDifferences(before, after),
  ];
  return found.toSorted((a, b) => subjects.indexOf(a.about) - subjects.indexOf(b.about));
}

/** Reports whether the replacement makes anything possible that was not. */
export function opensAnything(differences: readonly Difference[]): boolean {
  return differences.some(({ effect }) => effect === 'opens');
}

function gateOf(configuration: Configuration): Gate {
  return compileGate(configuration, { listeners: configuration.listeners.map(({ name }) => name) });
}

function servedBy(gate: Gate, { listeners }: Configuration): ReadonlySet<MethodName> {
  return new Set(
    methodNames.filter((method) =>
      listeners.some(({ name }) => gate.decide(name, method).outcome === 'allow'),
    ),
  );
}
