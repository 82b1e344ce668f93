import { type MethodName, methodNames } from './methods.js';

/** A method that is useless or harmful without other methods. */
export interface ConsistencyRule {
  /** A stable id for tests and tools, such as `pause-without-resume`. */
  readonly id: string;
  /** The rule applies when one of these is served */
  readonly when: readonly MethodName[];
  /** and not all of these are. Each has the same release as those of `when`, or an earlier one. */
  readonly needs: readonly MethodName[];
  /** The consequence, in one sentence. */
  readonly why: string;
  /** What to write instead. */
  readonly help: string;
}

/** A rule that a set of methods breaks. */
export interface Inconsistency {
  readonly rule: ConsistencyRule;
  /** The methods of `when` that are served; not empty. */
  readonly served: readonly MethodName[];
  /** The methods of `needs` that are not served; not empty. */
  readonly missing: readonly MethodName[];
  /** One line: `PauseContainer is served without ResumeContainer: a paused …`. */
  readonly message: string;
}

/**
 * Sets that are wrong for any caller: without its companion the method has no effect, or one that cannot be undone.
 * What breaks only one of Kata's runtimes is reported by the preflight. Sets that are merely unusual, such as resuming
 * without pausing, are not reported.
 */
export const consistency: readonly ConsistencyRule[] = [
  {
    id: 'sandbox-without-containers',
    when: ['CreateSandbox'],
    needs: ['CreateContainer'],
    why: 'a sandbox is created, but no containers can be.',
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
    why: "the end of a container is not reported, and Kata's runtimes assume that it ended at once with exit code 255.",
    help: 'allow "WaitProcess" too, or the group "@pod"; or do not serve StartContainer',
  },
  {
    id: 'exec-without-wait',
    when: ['ExecProcess'],
    needs: ['WaitProcess'],
    why: "the end of a command is not reported, and Kata's runtimes assume that it failed at once with exit code 255.",
    help: 'allow "WaitProcess" too, which "@pod" has; or do not serve ExecProcess',
  },
  {
    id: 'pause-without-resume',
    when: ['PauseContainer'],
    needs: ['ResumeContainer'],
    why: 'a paused container stays frozen and can only be removed.',
    help: 'write the group "@pause" instead; or do not serve PauseContainer',
  },
  {
    id: 'probe-without-online',
    when: ['MemHotplugByProbe'],
    needs: ['OnlineCPUMem'],
    why: 'added memory is never brought online.',
    help: 'allow "OnlineCPUMem" too, which "@pod" has; or do not serve MemHotplugByProbe',
  },
];

/** Returns the rules that a set of served methods breaks, in the table's order. */
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
