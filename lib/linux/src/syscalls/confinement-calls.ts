import { arch } from 'node:process';
import { SIGKILL } from './constants.js';
import { bytes, type CLibrary, cString, cStrings } from './koffi.js';

const SysBpf = arch === 'arm64' ? 280 : 321;

const BpfCommand = { LoadProgram: 5, AttachProgram: 8 } as const;

const ProgramCgroupDevice = 15;

const AttachCgroupDevice = 6;

const AllowMulti = 1 << 1;

/** A namespace that unshare(2) creates for the calling thread. */
export type UnsharedNamespace = 'mnt' | 'ipc' | 'uts' | 'net';

/** The sets of capset(2), as numbers of {@link Capability}. */
export interface CapabilitySets {
  readonly effective: readonly number[];
  readonly permitted: readonly number[];
  readonly inheritable: readonly number[];
}

/** Numbers of capabilities(7). */
export const Capability = {
  ChangeOwner: 0,
  OverrideAccess: 1,
  ReadAll: 2,
  FileOwner: 3,
  KeepSetId: 4,
  SetFileCapabilities: 31,
} as const;

/** Resources of setrlimit(2). */
export const ResourceLimit = {
  CpuSeconds: 0,
  FileSize: 1,
  Data: 2,
  Core: 4,
  OpenFiles: 7,
} as const;

/**
 * Calls by which a process gives up rights. All but `seccomp` act on the calling thread alone: they hold for the whole
 * process only after `execute`, which ends the other threads.
 */
export interface ConfinementCalls {
  /** unshare(2): gives the calling thread new namespaces, with `mnt` also its own root and working directory. */
  unshare(namespaces: readonly UnsharedNamespace[]): void;
  pivotRoot(root: string, old: string): void;
  /** setrlimit(2): sets the soft and the hard limit of {@link ResourceLimit}. */
  setResourceLimit(resource: number, limit: number): void;
  /** PR_SET_KEEPCAPS: permitted capabilities survive the change from root to another user. */
  keepCapabilities(): void;
  /** capset(2): replaces all three sets. */
  setCapabilities(sets: CapabilitySets): void;
  /** PR_CAP_AMBIENT_RAISE: the capability survives `execute`. It must be permitted and inheritable. */
  raiseAmbient(capability: number): void;
  clearAmbient(): void;
  /** PR_CAPBSET_DROP. Returns false if the kernel has no capability of this number. */
  dropBounding(capability: number): boolean;
  /** PR_SET_PDEATHSIG: the kernel kills this process when its parent ends. A change of user clears it, `execute` does not. */
  endWithParent(): void;
  /** PR_SET_NO_NEW_PRIVS: no program that this thread executes gains rights. */
  noNewPrivileges(): void;
  /**
   * seccomp(SECCOMP_SET_MODE_FILTER) for every thread: the filter is classic BPF, 8 bytes an instruction. Needs
   * `noNewPrivileges` or CAP_SYS_ADMIN.
   */
  seccomp(filter: Uint8Array): void;
  /** execve(2). Does not return on success. Descriptors stay open that are not close-on-exec. */
  execute(program: string, argv: readonly string[], environment: readonly string[]): void;
}

const arm = arch === 'arm64';
const SysPivotRoot = arm ? 41 : 155;
const SysCapset = arm ? 91 : 126;
const SysSeccomp = arm ? 277 : 317;
const Prctl = {
  ParentDeathSignal: 1,
  KeepCapabilities: 8,
  DropBounding: 24,
  NoNewPrivileges: 38,
  Ambient: 47,
} as const;
const AmbientRaise = 2;
const AmbientClear = 4;
const CapabilityVersion3 = 0x20080522;
const SetModeFilter = 1;
const FilterAllThreads = 1;
const instructionSize = 8;
const cloneFlags: Readonly<Record<UnsharedNamespace, number>> = {
  mnt: 0x20000,
  ipc: 0x8000000,
  uts: 0x4000000,
  net: 0x40000000,
};

/** These calls of the C library. */
export function confinementCalls(library: CLibrary): ConfinementCalls {
  const { check } = library;
  const unshare = library.find('int unshare(int flags)');
  const pivotRoot = library.find('long syscall(long number, const void *root, const void *old)');
  const setrlimit = library.find('int setrlimit64(int resource, const void *limit)');
  const prctl = library.find(
    'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
  );
  const capset = library.find('long syscall(long number, const void *header, const void *data)');
  const seccomp = library.find(
    'long syscall(long number, unsigned int operation, unsigned int flags, const void *program)',
  );
  const execve = library.find('int execve(const void *program, const void *argv, const void *environment)');
  return {
    unshare(namespaces) {
      const flags = namespaces.reduce((all, name) => all | cloneFlags[name], 0);
      check('unshare', unshare(flags), namespaces.join(', '));
    },
    pivotRoot(root, old) {
      const result = pivotRoot(SysPivotRoot, cString('pivot_root', root), cString('pivot_root', old));
      check('pivot_root', result, root);
    },
    setResourceLimit(resource, limit) {
      const block = bytes(16); // struct rlimit: soft, hard
      block.writeBigUInt64LE(BigInt(limit), 0);
      block.writeBigUInt64LE(BigInt(limit), 8);
      check('setrlimit', setrlimit(resource, block), `resource ${resource}, limit ${limit}`);
    },
    keepCapabilities: () => void check('prctl(PR_SET_KEEPCAPS)', prctl(Prctl.KeepCapabilities, 1, 0, 0, 0)),
    setCapabilities({ effective, permitted, inheritable }) {
      const header = bytes(8); // struct __user_cap_header_struct: version, pid
      header.writeUInt32LE(CapabilityVersion3);
      const data = bytes(24); // two of effective, permitted, inheritable: capabilities 0 to 31, 32 to 63
      for (const [at, set] of [effective, permitted, inheritable].entries()) {
        const mask = set.reduce((all, capability) => all | (1n << BigInt(capability)), 0n);
        data.writeUInt32LE(Number(mask & 0xffffffffn), at * 4);
        data.writeUInt32LE(Number(mask >> 32n), 12 + at * 4);
      }
      check('capset', capset(SysCapset, header, data));
    },
    raiseAmbient: (capability) =>
      void check(
        'prctl(PR_CAP_AMBIENT_RAISE)',
        prctl(Prctl.Ambient, AmbientRaise, capability, 0, 0),
        `capability ${capability}`,
      ),
    clearAmbient: () =>
      void check('prctl(PR_CAP_AMBIENT_CLEAR_ALL)', prctl(Prctl.Ambient, AmbientClear, 0, 0, 0)),
    dropBounding(capability) {
      if (prctl(Prctl.DropBounding, capability, 0, 0, 0) === 0) return true;
      const error = library.failure('prctl(PR_CAPBSET_DROP)', `capability ${capability}`);
      if (error.code === 'EINVAL') return false;
      throw error;
    },
    endWithParent: () =>
      void check('prctl(PR_SET_PDEATHSIG)', prctl(Prctl.ParentDeathSignal, SIGKILL, 0, 0, 0)),
    noNewPrivileges: () => void check('prctl(PR_SET_NO_NEW_PRIVS)', prctl(Prctl.NoNewPrivileges, 1, 0, 0, 0)),
    seccomp(filter) {
      const instructions = bytes(filter.length);
      instructions.set(filter);
      const program = bytes(16); // struct sock_fprog: number of instructions, their address
      program.writeUInt16LE(filter.length / instructionSize, 0);
      program.writeBigUInt64LE(library.address(instructions), 8);
      const result = seccomp(SysSeccomp, SetModeFilter, FilterAllThreads, program);
      // A positive result is a thread that could not take the filter.
      check('seccomp', result > 0 ? -1 : result, `${filter.length / instructionSize} instructions`);
    },
    execute(program, argv, environment) {
      const words = cStrings(library, 'execve', argv);
      const variables = cStrings(library, 'execve', environment);
      check('execve', execve(cString('execve', program), words, variables), program);
    },
  };
}

/** Commands of bpf(2) for the programs that decide about a cgroup's access to devices. */
export interface BpfCalls {
  /** BPF_PROG_LOAD: returns a descriptor of a program of type BPF_PROG_TYPE_CGROUP_DEVICE, 8 bytes per instruction. */
  loadDeviceFilter(instructions: Uint8Array): number;
  /**
   * BPF_PROG_ATTACH with BPF_F_ALLOW_MULTI: adds a program to those of the cgroup and its descendants, all of which must
   * allow an access. It remains until the cgroup is removed.
   */
  attachDeviceFilter(cgroup: number, filter: number): void;
}

/** These calls of the C library. */
export function bpfCalls(library: CLibrary): BpfCalls {
  const { check } = library;
  const bpf = library.find('long syscall(long number, int command, void *attributes, unsigned int size)');
  return {
    loadDeviceFilter(instructions) {
      const program = bytes(instructions.length);
      program.set(instructions);
      const license = cString('bpf', 'Apache-2.0');
      const attributes = bytes(48); // union bpf_attr, up to prog_flags
      attributes.writeUInt32LE(ProgramCgroupDevice, 0);
      attributes.writeUInt32LE(instructions.length / instructionSize, 4);
      attributes.writeBigUInt64LE(library.address(program), 8);
      attributes.writeBigUInt64LE(library.address(license), 16);
      return check(
        'bpf(BPF_PROG_LOAD)',
        bpf(SysBpf, BpfCommand.LoadProgram, attributes, attributes.length),
        `${program.length / instructionSize} instructions, license ${license.toString('latin1', 0, license.length - 1)}`,
      );
    },
    attachDeviceFilter(cgroup, filter) {
      const attributes = bytes(16); // target_fd, attach_bpf_fd, attach_type, attach_flags
      attributes.writeInt32LE(cgroup, 0);
      attributes.writeInt32LE(filter, 4);
      attributes.writeUInt32LE(AttachCgroupDevice, 8);
      attributes.writeUInt32LE(AllowMulti, 12);
      check('bpf(BPF_PROG_ATTACH)', bpf(SysBpf, BpfCommand.AttachProgram, attributes, attributes.length));
    },
  };
}
