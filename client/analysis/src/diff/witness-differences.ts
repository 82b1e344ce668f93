import type { Configuration, WitnessSettings } from '@kata-agent/config';
import type { Difference } from './difference.js';

/** Returns differences of the witnesses of the audit log, which are told apart by their keys. */
export function witnessDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const added = after.witnesses.filter(({ key }) => !before.witnesses.some((each) => each.key === key));
  const removed = before.witnesses.filter(({ key }) => !after.witnesses.some((each) => each.key === key));
  const moved = after.witnesses.flatMap((witness) => {
    const was = before.witnesses.find(({ key }) => key === witness.key);
    return was === undefined || textOf(was) === textOf(witness) ? [] : [{ was, is: witness }];
  });
  const row = { about: 'witness', effect: 'opens' } as const;
  return [
    ...added.map(
      (witness): Difference => ({
        ...row,
        name: witness.name,
        after: textOf(witness),
        why: 'its cosignature counts for the quorum, so that others can be missing',
      }),
    ),
    ...removed.map(
      (witness): Difference => ({
        ...row,
        name: witness.name,
        before: textOf(witness),
        why: 'it does not cosign any more: a forked or cut log is found by fewer',
      }),
    ),
    ...moved.map(
      ({ was, is }): Difference => ({
        ...row,
        name: is.name,
        before: textOf(was),
        after: textOf(is),
        why: 'the checkpoints are sent to another server, which is unknown',
      }),
    ),
  ];
}

function textOf({ via }: WitnessSettings): string {
  return via.kind === 'listener' ? `via = "${via.name}"` : `via = "${via.url}", ca of ${via.ca.length} bytes`;
}
