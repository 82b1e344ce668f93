import type { CgroupPaths } from '../cgroup/cgroup-paths.js';
import type { Container } from '../container/container.js';
import type { DeviceNumber } from '../device/device-number.js';
import type { ContainerProcess } from '../container/container-process.js';
import type { UsedSource } from '../source/other-containers.js';
import type { PipeInodes } from '../stdio/prepared-streams.js';

/**
 * What stands in a file of a container while there is anything of it in the guest. Before the first step of its making:
 * all that an agent needs to take it back. Once it is made: all that one needs to go on with it.
 */
export type ContainerRecord = UnfinishedContainer | FinishedContainer;

interface Common {
  readonly id: string;
  /** Containers are counted in the order in which they are made. */
  readonly order: number;
  /** Mount points of the storages that it uses. */
  readonly storages: readonly string[];
}

interface UnfinishedContainer extends Common {
  readonly phase: 'making';
}

export interface FinishedContainer extends Common {
  /** All that its root, its mounts and its storages were made of. */
  readonly sources: readonly UsedSource[];
  /** Clean paths of all that its root was made of, as the request named it. */
  readonly roots: readonly string[];
  /** `removing`: its processes have ended, and what was made for it is being taken back. */
  readonly phase: 'made' | 'removing';
  readonly first: ProcessRecord;
  readonly execs: readonly ProcessRecord[];
  readonly cgroup: CgroupRecord;
  readonly namespaces: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly cpus: string;
  readonly terminationLog?: string;
  readonly noNewPrivileges: boolean;
  /** The disks that it has as devices. */
  readonly disks: readonly DeviceNumber[];
}

export interface ProcessRecord {
  /** Empty: the container's first. */
  readonly execId: string;
  readonly pid: number;
  /** See `processStat`. 0: it had ended before that could be read. */
  readonly startTime: number;
  /** Absent with a terminal, which ends with the agent that has its other side. */
  readonly pipes?: PipeInodes;
  /** Once it has ended: its code, as WaitProcess tells it. */
  readonly exit?: number;
  readonly waitedFor: boolean;
}

/** CgroupPaths in JSON, which knows no maps. */
type CgroupRecord =
  | { readonly version: 1; readonly controllers: readonly (readonly [name: string, path: string])[] }
  | { readonly version: 2; readonly directory: string };

export function containerRecord(container: Container): FinishedContainer {
  const { id, order, storages, sources, first, execs, cgroup, namespaces, annotations, cpus } = container;
  const { roots, terminationLog, noNewPrivileges, disks } = container;
  return {
    id,
    order,
    storages,
    sources,
    roots,
    phase: container.removing ? 'removing' : 'made',
    first: processRecord('', first),
    execs: [...execs].map(([execId, process]) => processRecord(execId, process)),
    cgroup: cgroup.version === 2 ? cgroup : { version: 1, controllers: [...cgroup.controllers] },
    namespaces: [...namespaces],
    annotations,
    cpus,
    noNewPrivileges,
    disks,
    ...(terminationLog === undefined ? {} : { terminationLog }),
  };
}

function processRecord(execId: string, process: ContainerProcess): ProcessRecord {
  const { pid, startTime, pipes, code, waitedFor } = process;
  return {
    execId,
    pid,
    startTime,
    waitedFor,
    ...(pipes === undefined ? {} : { pipes }),
    ...(code === undefined ? {} : { exit: code }),
  };
}

export function cgroupOf({ cgroup }: FinishedContainer): CgroupPaths {
  return cgroup.version === 2 ? cgroup : { version: 1, controllers: new Map(cgroup.controllers) };
}
