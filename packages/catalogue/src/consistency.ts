import { type MethodName, methodNames } from './methods.js';

/** A method that makes no sense without others. */
export interface ConsistencyRule {
  /** Stable, for tests and tools: `pause-without-resume`. */
  readonly id: string;
  /** The rule speaks when one of these is served. */
  readonly when: readonly MethodName[];
  /** And not all of these are. Each came with the same release as those of `when`, or earlier. */
  readonly needs: readonly MethodName[];
  /** What happens then; one sentence. */
  readonly why: string;
  /** What to write instead. */
  readonly help: string;
}

/** A rule that a set of methods breaks. */
export interface Inconsistency {
  readonly rule: ConsistencyRule;
  /** Those of `when` that are served; not empty. */
  readonly served: readonly MethodName[];
  /** Those of `needs` that are not; not empty. */
  readonly missing: readonly MethodName[];
  /** One line: `PauseContainer is served without ResumeContainer: what …`. */
  readonly message: string;
}

/**
 * Sets that make no sense whoever calls: without its companion the method can do nothing of use, or does what nobody
 * can undo. What only one of Kata's runtimes stumbles over is told by the preflight, and what is merely unusual (to
 * resume without pausing, to close an input that nobody may write) is nobody's mistake.
 */
export const consistency: readonly ConsistencyRule[] = [
  {
    id: 'sandbox-without-containers',
    when: ['CreateSandbox'],
    needs: ['CreateContainer'],
    why: 'a sandbox is made in which no container can be.',
    help: 'allow "CreateContainer" too, or the group "@pod"; or do not serve CreateSandbox',
  },
  {
    id: 'create-without-start',
    when: ['CreateContainer'],
    needs: ['StartContainer'],
    why: 'containers are created but never run.',
    help: 'allow "StartContainer" too, or the group "@pod"; or do not serve CreateContainer',
  },
  {
    id: 'create-without-remove',
    when: ['CreateContainer'],
    needs: ['RemoveContainer'],
    why: 'no container can be removed, so that each keeps its mounts and memory until the guest ends.',
    help: 'allow "RemoveContainer" too, or the group "@pod"; or do not serve CreateContainer',
  },
  {
    id: 'start-without-create',
    when: ['StartContainer'],
    needs: ['CreateContainer'],
    why: 'there is never a container to start.',
    help: 'allow "CreateContainer" too, or the group "@pod"; or do not serve StartContainer',
  },
  {
    id: 'start-without-wait',
    when: ['StartContainer'],
    needs: ['WaitProcess'],
    why: "nobody learns when a container ends, and Kata's runtimes take it as ended with 255 at once.",
    help: 'allow "WaitProcess" too, or the group "@pod"; or do not serve StartContainer',
  },
  {
    id: 'exec-without-wait',
    when: ['ExecProcess'],
    needs: ['WaitProcess'],
    why: "nobody learns how a command ended, and Kata's runtimes take it as failed with 255 at once.",
    help: 'allow "WaitProcess" too, which "@pod" has; or do not serve ExecProcess',
  },
  {
    id: 'pause-without-resume',
    when: ['PauseContainer'],
    needs: ['ResumeContainer'],
    why: 'what is paused stays frozen and can only be removed.',
    help: 'write the group "@pause" instead; or do not serve PauseContainer',
  },
  {
    id: 'probe-without-online',
    when: ['MemHotplugByProbe'],
    needs: ['OnlineCPUMem'],
    why: 'memory that was added is never brought into use.',
    help: 'allow "OnlineCPUMem" too, which "@pod" has; or do not serve MemHotplugByProbe',
  },
];

/** The rules that the methods break which are served together, in the table's order. */
export function inconsistencies(served: Iterable<MethodName>): readonly Inconsistency[] {
  const set = new Set(served);
  return consistency.flatMap((rule) => {
    const present = methodNames.filter((method) => rule.when.includes(method) && set.has(method));
    const missing = methodNames.filter((method) => rule.needs.includes(method) && !set.has(method));
    if (present.length === 0 || missing.length === 0) return [];
    const message = `${present.join(' and ')} is served without ${missing.join(' and ')}: ${rule.why}`;
    return [{ rule, served: present, missing, message }];
  });
}
