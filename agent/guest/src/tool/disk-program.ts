import {
  confine,
  leaveOpen,
  loadSyscalls,
  programFilter,
  programPlaces,
  type VisibleDisk,
} from '@kata-agent/linux';

/** The descriptor on which a process that could not be confined says why. */
export const refusalPipe = 3;

/** What the agent tells the process on its command line. */
export interface DiskProgramOptions {
  /** Path of the program, without links. */
  readonly path: string;
  /** By which the program knows what to do. */
  readonly name: string;
  /** Its arguments; the path of the disk follows. */
  readonly args: readonly string[];
  /** Other files that it reads. */
  readonly files: readonly string[];
  readonly disk: VisibleDisk['number'];
  readonly milliseconds: number;
  /** The process of the agent. */
  readonly parent: number;
}

/** User and group that no other process has: the next after those of agent/puller. */
const diskUser = 2_113_929_220;
/** Of the node in the process's root. */
const node = '/disk';
const MiB = 1024 * 1024;
const memory = 256 * MiB;
const openFiles = 64;

/**
 * What a program asks of a block device: sizes, geometry, discards, zeroes (linux/fs.h, linux/hdreg.h). Not SG_IO, with which it would
 * send commands of its own to the device.
 */
const diskRequests: readonly number[] = [
  0x125e, // BLKROGET
  0x1260, // BLKGETSIZE
  0x1261, // BLKFLSBUF
  0x1268, // BLKSSZGET
  0x80081272, // BLKGETSIZE64
  0x1277, // BLKDISCARD
  0x1278, // BLKIOMIN
  0x1279, // BLKIOOPT
  0x127a, // BLKALIGNOFF
  0x127b, // BLKPBSZGET
  0x127c, // BLKDISCARDZEROES
  0x127e, // BLKROTATIONAL
  0x127f, // BLKZEROOUT
  0x0301, // HDIO_GETGEO
];

/**
 * Confines this process, and executes a program that has one disk and nothing else: its files and the system's libraries, read-only,
 * no network, no capability, no other process. Throws if a step fails.
 */
export function executeOnDisk({
  path,
  name,
  args,
  files,
  disk,
  milliseconds,
  parent,
}: DiskProgramOptions): never {
  const syscalls = loadSyscalls();
  confine(syscalls, {
    user: diskUser,
    capabilities: [],
    places: programPlaces(path, ...files),
    disk: { to: node, number: disk },
    network: false,
    filter: programFilter(diskRequests),
    memory,
    cpuSeconds: Math.ceil(milliseconds / 1000),
    openFiles,
    // A disk is one file.
    fileSize: undefined,
    parent,
  });
  for (const descriptor of [0, 1, 2]) leaveOpen(syscalls, descriptor);
  syscalls.execute(path, [name, ...args, node], ['LC_ALL=C', 'PATH=/nonexistent']);
  throw new Error('execve(2) returned');
}
