import { constants } from 'node:fs';
import { arch, pid } from 'node:process';
import type { ArgumentRule, SeccompPolicy } from '@kata-agent/linux';

type Numbers = Readonly<Record<string, readonly [x64: number | undefined, arm64: number | undefined]>>;

/** What Node.js and the unpacking of layers need, found with strace; numbers of x86_64, aarch64. */
const allowed: Numbers = {
  read: [0, 63],
  write: [1, 64],
  readv: [19, 65],
  writev: [20, 66],
  pread64: [17, 67],
  pwrite64: [18, 68],
  close: [3, 57],
  fstat: [5, 80],
  newfstatat: [262, 79],
  statx: [332, 291],
  lseek: [8, 62],
  ftruncate: [77, 46],
  fallocate: [285, 47],
  fcntl: [72, 25],
  fsync: [74, 82],
  fdatasync: [75, 83],
  dup: [32, 23],
  dup3: [292, 24],
  pipe2: [293, 59],
  getdents64: [217, 61],
  getcwd: [79, 17],
  umask: [95, 166],
  readlinkat: [267, 78],
  faccessat: [269, 48],
  openat: [257, 56],
  openat2: [437, 437],
  mkdirat: [258, 34],
  unlinkat: [263, 35],
  symlinkat: [266, 36],
  linkat: [265, 37],
  fchown: [93, 55],
  fchownat: [260, 54],
  fchmod: [91, 52],
  fchmodat: [268, 53],
  utimensat: [280, 88],
  fsetxattr: [190, 7],
  mmap: [9, 222],
  munmap: [11, 215],
  mremap: [25, 216],
  madvise: [28, 233],
  brk: [12, 214],
  mprotect: [10, 226],
  rt_sigaction: [13, 134],
  rt_sigprocmask: [14, 135],
  rt_sigreturn: [15, 139],
  sigaltstack: [131, 132],
  futex: [202, 98],
  set_robust_list: [273, 99],
  rseq: [334, 293],
  sched_yield: [24, 124],
  sched_getaffinity: [204, 123],
  nanosleep: [35, 101],
  clock_nanosleep: [230, 115],
  clock_gettime: [228, 113],
  clock_getres: [229, 114],
  gettimeofday: [96, 169],
  membarrier: [324, 283],
  restart_syscall: [219, 128],
  getpid: [39, 172],
  gettid: [186, 178],
  getuid: [102, 174],
  geteuid: [107, 175],
  getgid: [104, 176],
  getegid: [108, 177],
  getppid: [110, 173],
  getrusage: [98, 165],
  getrandom: [318, 278],
  sysinfo: [99, 179],
  uname: [63, 160],
  epoll_create1: [291, 20],
  epoll_ctl: [233, 21],
  epoll_pwait: [281, 22],
  epoll_wait: [232, undefined],
  eventfd2: [290, 19],
  poll: [7, undefined],
  ppoll: [271, 73],
  recvmsg: [47, 212],
  sendmsg: [46, 211],
  recvfrom: [45, 207],
  sendto: [44, 206],
  shutdown: [48, 210],
  getsockopt: [55, 209],
  getsockname: [51, 204],
  getpeername: [52, 205],
  setsockopt: [54, 208],
  exit: [60, 93],
  exit_group: [231, 94],
};

/** What a client of registries needs too. */
const allowedWhenPulling: Numbers = {
  connect: [42, 203],
  bind: [49, 200],
  recvmmsg: [299, 243],
  sendmmsg: [307, 269],
  // Blobs get their names when they are verified.
  rename: [82, undefined],
  renameat: [264, 38],
  renameat2: [316, 276],
  unlink: [87, undefined],
  rmdir: [84, undefined],
};

const conditional = {
  clone: [56, 220],
  ioctl: [16, 29],
  prctl: [157, 167],
  tgkill: [234, 131],
  mknodat: [259, 33],
  socket: [41, 198],
} as const satisfies Numbers;

const programs: Numbers = {
  execve: [59, 221],
  execveat: [322, 281],
};

/** Rights, namespaces, mounts, kernel code, and other processes. */
const beyond: Numbers = {
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

/** What a program that packs files needs besides as little: rings, sockets, and other processes of its user. */
const missingWhenPacking: Numbers = {
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

const CloneThread = 0x10000;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const cloneNamespaces = 0x7e020000;
const FileNonBlocking = 0x5421;
const FileCloseOnExec = 0x5451;
const BytesToRead = 0x541b;
const SetName = 15;
const SetMemoryName = 0x53564d41;
const InternetFamilies: readonly number[] = [1, 2, 10]; // AF_UNIX, AF_INET, AF_INET6

/** Arguments with which a call is allowed. */
function rules(network: boolean): ReadonlyMap<number, ArgumentRule> {
  const whole = 0xffffffff;
  const found: readonly (readonly [keyof typeof conditional, ArgumentRule])[] = [
    // Threads, no processes; clone3, whose flags are in memory, fails with ENOSYS, and the C library uses clone.
    ['clone', { argument: 0, mask: CloneThread | cloneNamespaces, values: [CloneThread] }],
    [
      'ioctl',
      {
        argument: 1,
        mask: whole,
        // The C library's resolver asks for the size of an answer.
        values: [FileNonBlocking, FileCloseOnExec, ...(network ? [BytesToRead] : [])],
      },
    ],
    ['prctl', { argument: 0, mask: whole, values: [SetName, SetMemoryName] }],
    // abort(3).
    ['tgkill', { argument: 0, mask: whole, values: [pid] }],
    ['mknodat', { argument: 2, mask: constants.S_IFMT, values: [constants.S_IFIFO] }],
    ['socket', { argument: 0, mask: whole, values: network ? InternetFamilies : [] }],
  ];
  return new Map(
    found.flatMap(([name, rule]) => {
      const number = numberOf(conditional[name]);
      return number === undefined ? [] : [[number, rule] as const];
    }),
  );
}

/** Returns what the child process may ask the kernel for; with `network`, to open sockets too. */
export function allowedCalls({ network }: { readonly network: boolean }): SeccompPolicy {
  const plain = [...numbersOf(allowed), ...(network ? numbersOf(allowedWhenPulling) : [])];
  return {
    allowed: new Map<number, ArgumentRule | undefined>([
      ...plain.map((number) => [number, undefined] as const),
      ...rules(network),
    ]),
    killed: [...numbersOf(programs), ...numbersOf(beyond)],
  };
}

/**
 * Returns the calls that fail for a program that is not Node.js and packs files. It makes threads but no process, which would outlive it,
 * and reaches no other process of its user, which packs another image. With its capability open_by_handle_at(2) would open any
 * file of a file system of which it sees a part; and AF_VSOCK has no namespaces.
 */
export function deniedWhenPacking(): {
  readonly missing: readonly number[];
  readonly limited: ReadonlyMap<number, ArgumentRule>;
} {
  const all = rules(false);
  const { clone, tgkill, prlimit64 } = { ...conditional, prlimit64: [302, 261] as const };
  const limited = [clone, tgkill].flatMap((numbers) => {
    const number = numberOf(numbers);
    const rule = number === undefined ? undefined : all.get(number);
    return number === undefined || rule === undefined ? [] : [[number, rule] as const];
  });
  const ownLimits = { argument: 0, mask: 0xffffffff, values: [0, pid] };
  const limits = numberOf(prlimit64) ?? prlimit64[0];
  return {
    missing: [...numbersOf(beyond), ...numbersOf(missingWhenPacking)],
    limited: new Map([...limited, [limits, ownLimits]]),
  };
}

function numbersOf(calls: Numbers): readonly number[] {
  return Object.values(calls).flatMap((numbers) => numberOf(numbers) ?? []);
}

function numberOf([x64, arm64]: Numbers[string]): number | undefined {
  return arch === 'arm64' ? arm64 : x64;
}
