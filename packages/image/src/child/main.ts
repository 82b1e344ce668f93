// The program that unpacks an image. The agent starts it as root; it gives up its rights and executes itself, and only
// then reads anything that others have written.
import { writeSync } from 'node:fs';
import { loadSyscalls, type Syscalls } from '@kata-agent/linux';
import { confine, programPlaces, unpackCapabilities, unpackPlaces } from './confine.js';
import type { ChildOptions } from './options.js';

/** Descriptor of the agent's socket. */
const agentSocket = 3;

function fail(error: unknown): void {
  const message = `cannot confine the process that unpacks the image: ${String(error)}`;
  writeSync(agentSocket, `${JSON.stringify({ error: { code: 'child', message } })}\n`);
  process.exitCode = 1;
}

/** Node.js makes the descriptors that it inherits close-on-exec. */
function leaveOpen(syscalls: Syscalls, descriptor: number): void {
  const copy = syscalls.duplicate(descriptor);
  syscalls.dup3(copy, descriptor, 0);
  syscalls.close(copy);
}

function confineAndExecute(entry: string, options: ChildOptions): void {
  const { blobs, target, user, memory, cpuSeconds, fileSize, programDirectory, environment } = options;
  const syscalls = loadSyscalls();
  const places = [...programPlaces(process.execPath, programDirectory), ...unpackPlaces(blobs, target)];
  const executable = process.execPath;
  confine(syscalls, {
    user,
    capabilities: unpackCapabilities,
    places,
    network: false,
    memory,
    cpuSeconds,
    openFiles: 1024,
    fileSize,
  });
  for (const descriptor of [0, 1, 2, agentSocket]) leaveOpen(syscalls, descriptor);
  syscalls.execute(executable, [executable, ...process.execArgv, entry, 'unpack'], environment);
}

const [, entry = '', step, options = ''] = process.argv;
if (step === 'confine') {
  try {
    confineAndExecute(entry, JSON.parse(options) as ChildOptions);
  } catch (error) {
    fail(error);
  }
} else {
  void import('./serve-unpack.js').then(({ serveUnpack }) => serveUnpack(agentSocket));
}
