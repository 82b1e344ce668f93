import { constants } from 'node:fs';
import { pid } from 'node:process';
import {
  type ArgumentRule,
  type CallNumbers,
  callsBeyondFiles,
  numberOf,
  numbersOf,
  type SeccompPolicy,
  threadsOnly,
} from '@kata-agent/linux';

/** What Node.js and the unpacking of layers need, found with strace; numbers of x86_64, aarch64. */
const allowed: CallNumbers = {
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
const allowedWhenPulling: CallNumbers = {
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
} as const satisfies CallNumbers;

const programs: CallNumbers = {
  execve: [59, 221],
  execveat: [322, 281],
};

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
    // clone3, whose flags are in memory, fails with ENOSYS, and the C library uses clone.
    ['clone', threadsOnly],
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
    killed: [...numbersOf(programs), ...callsBeyondFiles()],
  };
}
