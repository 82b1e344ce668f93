import type { Configuration } from '../configuration.js';
import { writeDuration } from '../value-types/duration.js';

/** A witness of the audit log, and where it is asked. */
export interface ExplainedWitness {
  readonly name: string;
  readonly key: string;
  /** Absent: at an address of its own. */
  readonly listener?: string;
  /** `https://` alone if a delivered document sets the address of the listener. */
  readonly url: string;
}

export function explainWitnesses({
  witnesses,
  listeners,
}: Pick<Configuration, 'witnesses' | 'listeners'>): readonly ExplainedWitness[] {
  return witnesses.map(({ name, key, via }) =>
    via.kind === 'url'
      ? { name, key, url: via.url }
      : {
          name,
          key,
          listener: via.name,
          url: listeners.find((listener) => listener.name === via.name)?.address ?? '',
        },
  );
}

/** Renders what the agent does with its witnesses. */
export function renderWitnesses(
  witnesses: readonly ExplainedWitness[],
  { quorum, requiredWithin }: { readonly quorum: number; readonly requiredWithin: number | 'off' },
): string {
  return [
    `witnesses of the audit log: ${quorum} of ${witnesses.length} must cosign a checkpoint`,
    ...witnesses.map(
      ({ name, listener, url }) =>
        `  ${name}, asked at ${url}${listener === undefined ? '' : ` as the listener "${listener}" dials it`}`,
    ),
    requiredWithin === 'off'
      ? '  no call depends on them: required_within = "off"'
      : `  calls of the host that change something are refused once a record of ${writeDuration(requiredWithin)} is not covered`,
  ].join('\n');
}
