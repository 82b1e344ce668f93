import type { CgroupPaths } from '../cgroup/cgroup-paths.js';
import type { Container } from '../container/container.js';
import type { MountStatus } from '../request/actions.js';
import type { DeviceNumber } from '../device/device-number.js';
import type { OciCapabilities, OciRlimit } from '../request/oci-spec.js';
import type { ContainerProcess } from '../container/container-process.js';
import type { UsedSource } from '../source/place-owner.js';
import type { PipeInodes } from '../stdio/prepare-streams.js';

/**
 * The content of a container's state file, which exists as long as anything of the container is in the guest. Before the
 * first step of the creation it has what an agent needs to undo the creation; afterwards what an agent needs to manage the
 * container.
 */
export type SavedContainer = UnfinishedContainer | FinishedContainer;

interface Common {
  readonly id: string;
  /** Number of the container in the order of creation. */
  readonly order: number;
  /** Mount points of the container's storages. */
  readonly storages: readonly string[];
  /** The addresses of the PCI devices that it drives through VFIO. */
  readonly pciDevices: readonly string[];
}

interface UnfinishedContainer extends Common {
  readonly phase: 'creating';
}

export interface FinishedContainer extends Common {
  /** The sources of its root, mounts and storages. */
  readonly sources: readonly UsedSource[];
  /** Clean paths of the sources of its root, as in the request. */
  readonly roots: readonly string[];
  /** `removing`: its processes have ended, and its resources are being removed. */
  readonly phase: 'made' | 'removing';
  readonly first: SavedProcess;
  readonly execs: readonly SavedProcess[];
  readonly cgroup: SavedCgroup;
  readonly namespaces: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly mounts: readonly MountStatus[];
  readonly cpus: string;
  readonly terminationLog?: string;
  readonly noNewPrivileges: boolean;
  readonly capabilities: OciCapabilities;
  readonly rlimits: readonly SavedRlimit[];
  /** The disks that the container has as devices. */
  readonly disks: readonly DeviceNumber[];
  /** Of its PCI devices: on the host, and in the guest. */
  readonly pciAddresses: readonly (readonly [host: string, guest: string])[];
}

export interface SavedProcess {
  /** Empty: the container's first process. */
  readonly execId: string;
  readonly pid: number;
  /** See `processStat`. 0: the process ended before it could be read. */
  readonly startTime: number;
  /** Absent for a terminal, which is lost when the agent that has its other end exits. */
  readonly pipes?: PipeInodes;
  /** Exit code as in WaitProcess; absent while the process runs. */
  readonly exit?: number;
  readonly waitedFor: boolean;
  /** See `ContainerProcess.signalled`; absent: no. */
  readonly signalled?: boolean;
}

/** A resource limit in JSON, which has no integers of 64 bits. */
interface SavedRlimit {
  readonly type: string;
  readonly hard: string;
  readonly soft: string;
}

/** CgroupPaths in JSON, which has no maps. */
type SavedCgroup =
  | { readonly version: 1; readonly controllers: readonly (readonly [name: string, path: string])[] }
  | { readonly version: 2; readonly directory: string };

export function savedContainer(container: Container): FinishedContainer {
  const { id, order, storages, sources, first, execs, cgroup, namespaces, annotations, cpus } = container;
  const { roots, terminationLog, noNewPrivileges, capabilities, rlimits, disks, pciDevices } = container;
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
    mounts: container.mounts,
    cpus,
    noNewPrivileges,
    capabilities,
    rlimits: rlimits.map(({ type, hard, soft }) => ({ type, hard: String(hard), soft: String(soft) })),
    disks,
    pciDevices,
    pciAddresses: [...container.pciAddresses],
    ...(terminationLog === undefined ? {} : { terminationLog }),
  };
}

function processRecord(execId: string, process: ContainerProcess): SavedProcess {
  const { pid, startTime, pipes, code, waitedFor, signalled } = process;
  return {
    execId,
    pid,
    startTime,
    waitedFor,
    ...(signalled ? { signalled } : {}),
    ...(pipes === undefined ? {} : { pipes }),
    ...(code === undefined ? {} : { exit: code }),
  };
}

export function cgroupOf({ cgroup }: FinishedContainer): CgroupPaths {
  return cgroup.version === 2 ? cgroup : { version: 1, controllers: new Map(cgroup.controllers) };
}

export function rlimitsOf({ rlimits }: FinishedContainer): readonly OciRlimit[] {
  return rlimits.map(({ type, hard, soft }) => ({ type, hard: BigInt(hard), soft: BigInt(soft) }));
}
