import type { ListenerSettings } from '@kata-agent/config';
import type { Difference } from './difference.js';
import type { ListenerPair } from './pair-listeners.js';

/** Returns differences of the listeners themselves; served methods are separate differences. */
export function listenerDifferences(pairs: readonly ListenerPair[]): readonly Difference[] {
  return pairs.flatMap(({ before, after }): readonly Difference[] => {
    if (before === undefined) {
      const why = 'the listener is added';
      return [{ effect: 'opens', about: 'listener', name: after.name, after: textOf(after), why }];
    }
    if (after === undefined) {
      const why = 'the listener is removed';
      return [{ effect: 'closes', about: 'listener', name: before.name, before: textOf(before), why }];
    }
    return [...renaming(before, after), ...moving(before, after), ...admitting(before, after)];
  });
}

function renaming(before: ListenerSettings, after: ListenerSettings): readonly Difference[] {
  if (before.name === after.name) return [];
  const why = 'the listener is renamed; rules that use `listener` see the new name';
  return [
    {
      effect: 'changes',
      about: 'listener',
      name: after.name,
      before: before.name,
      after: after.name,
      why,
    },
  ];
}

function moving(before: ListenerSettings, after: ListenerSettings): readonly Difference[] {
  if (before.address === after.address) return [];
  return [
    {
      effect: 'opens',
      about: 'listener',
      name: after.name,
      before: before.address,
      after: after.address,
      why: 'who can reach the new address is unknown: counts as opening',
    },
  ];
}

function admitting(before: ListenerSettings, after: ListenerSettings): readonly Difference[] {
  const were = new Set(before.peers);
  const are = new Set(after.peers);
  const added = after.peers.filter((peer) => !were.has(peer) && !were.has('any'));
  const removed = before.peers.filter((peer) => !are.has(peer) && !are.has('any'));
  const texts = { before: before.peers.join(', '), after: after.peers.join(', ') };
  const row = { about: 'listener', name: after.name, ...texts } as const;
  if (added.length > 0) return [{ ...row, effect: 'opens', why: `${added.join(', ')} can connect` }];
  if (removed.length > 0)
    return [{ ...row, effect: 'closes', why: `${removed.join(', ')} can no longer connect` }];
  return [];
}

function textOf({ address, peers }: ListenerSettings): string {
  return `${address}, peers ${peers.join(', ')}`;
}
