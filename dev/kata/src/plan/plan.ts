// Which parts of a run can run, with what is given.
import type { ProgramRole, ShimKind } from './kata-program.js';

/** The parts of Kata that run against this agent, in the order in which they run. */
export const partNames = ['agent-ctl', 'bats', 'shim', 'remote', 'workloads', 'genpolicy'] as const;
export type PartName = (typeof partNames)[number];

/** What a part needs of Kata. */
type Need = Exclude<ProgramRole, 'agent'> | 'source' | 'remote-configuration';

const needs: Readonly<Record<PartName, readonly Need[]>> = {
  'agent-ctl': ['agent-ctl'],
  bats: ['agent-ctl', 'source'],
  shim: ['shim'],
  remote: ['shim', 'remote-configuration'],
  workloads: ['shim', 'source'],
  genpolicy: ['source'],
};

const helps: Readonly<Record<Need, string>> = {
  'agent-ctl': "--agent-ctl FILE, Kata's kata-agent-ctl; in a release opt/kata/bin/kata-agent-ctl",
  shim: '--shim FILE, the Go shim; in a release opt/kata/bin/containerd-shim-kata-v2',
  source: "--source DIR, a checkout of Kata's source",
  'remote-configuration':
    '--remote-configuration FILE; in a release opt/kata/share/defaults/kata-containers/configuration-remote.toml',
};

/** What is given of Kata. */
export interface Given {
  readonly has: (need: Need) => boolean;
  readonly shimKind: ShimKind | undefined;
}

export interface PlannedPart {
  readonly part: PartName;
  /** Why it is not run; absent: it is. */
  readonly skip?: string;
}

/** Decides for each part whether it can run. Pure. */
export function planParts(parts: readonly PartName[], given: Given): readonly PlannedPart[] {
  return parts.map((part) => {
    const missing = needs[part].filter((need) => !given.has(need));
    if (missing.length > 0)
      return { part, skip: missing.map((need) => `not given: ${helps[need]}`).join('; ') };
    // Its configuration and its calls of the hypervisor are those of the Go shim.
    if (needs[part].includes('shim') && given.shimKind !== 'Go')
      return { part, skip: `the shim is ${given.shimKind ?? 'unknown'}; help: ${helps.shim}` };
    return { part };
  });
}

/** Whether a part makes namespaces. */
export function needsRoot(parts: readonly PlannedPart[]): boolean {
  return parts.some(({ part, skip }) => skip === undefined && part !== 'genpolicy');
}
