import { type MethodName, methodNames } from '@kata-agent/catalogue';
import {
  type Configuration,
  describeBinding,
  describePlace,
  type SecretSettings,
  type WitnessSettings,
} from '@kata-agent/config';
import { compileGate, type Gate } from '@kata-agent/gate';
import { type Difference, subjects } from './difference.js';
import { listenerDifferences, type ListenerPair, pairListeners } from './listener-differences.js';
import { ruleDifferences } from './rule-differences.js';
import { settingDifferences } from './setting-differences.js';

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

/** Returns the methods that a listener serves in only one of the configurations. */
function endpointDifferences(
  pairs: readonly ListenerPair[],
  before: Gate,
  after: Gate,
): readonly Difference[] {
  return pairs.flatMap((pair) => {
    const old = pair.before?.name;
    const name = pair.after?.name ?? pair.before?.name ?? '';
    return methodNames.flatMap((method): readonly Difference[] => {
      const was = old === undefined ? undefined : before.decide(old, method);
      const is = pair.after === undefined ? undefined : after.decide(name, method);
      const served = is?.outcome === 'allow';
      if ((was?.outcome === 'allow') === served) return [];
      return [
        {
          effect: served ? 'opens' : 'closes',
          about: 'endpoint',
          name: method,
          listener: name,
          ...(was === undefined ? {} : { before: `${verb(was.outcome)}: ${was.reason}` }),
          ...(is === undefined ? {} : { after: `${verb(is.outcome)}: ${is.reason}` }),
          why: served ? 'served now' : 'no longer served',
        },
      ];
    });
  });
}

function verb(outcome: 'allow' | 'deny'): string {
  return outcome === 'allow' ? 'served' : 'not served';
}

/** Returns differences of the places where sealed secrets are unsealed. Without a document it is done everywhere. */
function secretDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const [old, now] = [before, after].map(({ documents }) => documents.length > 0);
  const about = 'secret';
  if (old !== now) {
    const name = 'sealed secrets';
    return now === true
      ? [{ about, effect: 'closes', name, why: 'only the places that it names are unsealed' }]
      : [{ about, effect: 'opens', name, why: 'they are unsealed wherever the host puts them' }];
  }
  return [
    ...missingSecrets(after.secrets, before.secrets).map(
      (secret): Difference => ({
        about,
        effect: 'opens',
        name: describePlace(secret),
        after: describeBinding(secret),
        why: 'a secret is unsealed there',
      }),
    ),
    ...missingSecrets(before.secrets, after.secrets).map(
      (secret): Difference => ({
        about,
        effect: 'closes',
        name: describePlace(secret),
        before: describeBinding(secret),
        why: 'this secret stays sealed there',
      }),
    ),
  ];
}

/** Returns the secrets of a list that another list does not allow. */
function missingSecrets(
  list: readonly SecretSettings[],
  other: readonly SecretSettings[],
): readonly SecretSettings[] {
  return list.filter((secret) => !other.some((each) => allowsSecret(each, secret)));
}

/** Reports whether whatever `narrow` allows, `wide` allows too. */
function allowsSecret(wide: SecretSettings, narrow: SecretSettings): boolean {
  return (
    describePlace(wide) === describePlace(narrow) &&
    (wide.resource === undefined || wide.resource === narrow.resource) &&
    (wide.sha256 === undefined || wide.sha256 === narrow.sha256)
  );
}

/** Returns differences of the witnesses of the audit log, which are told apart by their keys. */
function witnessDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const added = after.witnesses.filter(({ key }) => !before.witnesses.some((each) => each.key === key));
  const removed = before.witnesses.filter(({ key }) => !after.witnesses.some((each) => each.key === key));
  const moved = after.witnesses.flatMap((witness) => {
    const was = before.witnesses.find(({ key }) => key === witness.key);
    return was === undefined || viaText(was) === viaText(witness) ? [] : [{ was, is: witness }];
  });
  const row = { about: 'witness', effect: 'opens' } as const;
  return [
    ...added.map(
      (witness): Difference => ({
        ...row,
        name: witness.name,
        after: viaText(witness),
        why: 'its cosignature counts for the quorum, so that others can be missing',
      }),
    ),
    ...removed.map(
      (witness): Difference => ({
        ...row,
        name: witness.name,
        before: viaText(witness),
        why: 'it does not cosign any more: a forked or cut log is found by fewer',
      }),
    ),
    ...moved.map(
      ({ was, is }): Difference => ({
        ...row,
        name: is.name,
        before: viaText(was),
        after: viaText(is),
        why: 'the checkpoints are sent to another server, which is unknown',
      }),
    ),
  ];
}

function viaText({ via }: WitnessSettings): string {
  return via.kind === 'listener' ? `via = "${via.name}"` : `via = "${via.url}", ca of ${via.ca.length} bytes`;
}
