import type { Buffer } from 'node:buffer';
import { arch, pid } from 'node:process';
import { type ArgumentRule, missingCallsFilter } from './seccomp-filter.js';

/** Numbers of system calls; undefined: the architecture has no such call. */
export type CallNumbers = Readonly<
  Record<string, readonly [x64: number | undefined, arm64: number | undefined]>
>;

/** Rights, namespaces, mounts, kernel code, and other processes. */
const beyond: CallNumbers = {
  fork: [57, undefined],
  vfork: [58, undefined],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  unshare: [272, 97],
  setns: [308, 268],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  keyctl: [250, 219],
  add_key: [248, 217],
  request_key: [249, 218],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  acct: [163, 89],
  quotactl: [179, 60],
  setuid: [105, 146],
  setgid: [106, 144],
  setreuid: [113, 145],
  setregid: [114, 143],
  setresuid: [117, 147],
  setresgid: [119, 149],
  setgroups: [116, 159],
  setfsuid: [122, 151],
  setfsgid: [123, 152],
  capset: [126, 91],
  iopl: [172, undefined],
  ioperm: [173, undefined],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  personality: [135, 92],
  pidfd_getfd: [438, 438],
  open_by_handle_at: [304, 265],
  name_to_handle_at: [303, 264],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  syslog: [103, 116],
};

/** What a program that works on files needs as little: rings, sockets, and other processes of its user. */
const beside: CallNumbers = {
  io_uring_setup: [425, 425],
  socket: [41, 198],
  // Its flags are in memory; the C library uses clone then.
  clone3: [435, 435],
  kill: [62, 129],
  tkill: [200, 130],
  rt_sigqueueinfo: [129, 138],
  rt_tgsigqueueinfo: [297, 240],
  pidfd_open: [434, 434],
  pidfd_send_signal: [424, 424],
  process_madvise: [440, 440],
  kcmp: [312, 272],
};

const limited = { clone: [56, 220], tgkill: [234, 131], prlimit64: [302, 261], ioctl: [16, 29] } as const;
const CloneThread = 0x10000;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const cloneNamespaces = 0x7e020000;
const whole = 0xffffffff;

/** Arguments of clone(2) that make threads, and no processes. */
export const threadsOnly: ArgumentRule = {
  argument: 0,
  mask: CloneThread | cloneNamespaces,
  values: [CloneThread],
};

/** Returns the numbers of calls that no program needs that works on files: rights, namespaces, mounts, kernel code, other processes. */
export function callsBeyondFiles(): readonly number[] {
  return numbersOf(beyond);
}

/**
 * Returns the filter of seccomp(2) for a program that works on files, and is executed next by this process. The program makes threads but
 * no process, which would outlive it, and reaches no other process of its user. With CAP_DAC_READ_SEARCH open_by_handle_at(2)
 * would open any file of a file system of which it sees a part; and AF_VSOCK has no namespaces.
 *
 * @param ioctls the requests of ioctl(2) that it may make; undefined: all
 */
export function programFilter(ioctls?: readonly number[]): Buffer {
  const rules: readonly (readonly [keyof typeof limited, ArgumentRule])[] = [
    ['clone', threadsOnly],
    // abort(3).
    ['tgkill', { argument: 0, mask: whole, values: [pid] }],
    ['prlimit64', { argument: 0, mask: whole, values: [0, pid] }],
    ...(ioctls === undefined ? [] : [['ioctl', { argument: 1, mask: whole, values: ioctls }] as const]),
  ];
  return missingCallsFilter(
    [...callsBeyondFiles(), ...numbersOf(beside)],
    new Map(rules.map(([name, rule]) => [limited[name][arch === 'arm64' ? 1 : 0], rule])),
  );
}

/** Returns the numbers of this architecture. */
export function numbersOf(calls: CallNumbers): readonly number[] {
  return Object.values(calls).flatMap((numbers) => numberOf(numbers) ?? []);
}

/** Returns the number of this architecture. */
export function numberOf([x64, arm64]: CallNumbers[string]): number | undefined {
  return arch === 'arm64' ? arm64 : x64;
}
