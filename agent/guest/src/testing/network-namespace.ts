import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { loadSyscalls, RecordingSyscalls, type Syscalls, visitNamespace } from '@kata-agent/linux';
import type { HostMedia } from '../media/host-media.js';
import { directMedia } from '../media-thread/direct-media.js';
import type { Interface, Route } from '../network/network-values.js';
import { SystemTools } from '../tool/tools.js';

/** A default route without a gateway. */
export const sampleRoute: Route = {
  family: 'v4',
  dest: '',
  gateway: '',
  device: 'eth0',
  source: '',
  scope: 0,
  flags: 0,
  mtu: 0,
};

export const sampleInterface: Interface = {
  name: 'eth0',
  hwAddr: '02:00:00:00:00:01',
  mtu: 1500,
  addresses: [],
  devicePath: '',
  rawFlags: 0,
};

let count = 0;

/** A network namespace for a test. */
export class NetworkNamespace {
  readonly name: string;
  readonly tools: SystemTools;
  /** They create sockets in the namespace. */
  readonly syscalls: Syscalls;
  readonly media: HostMedia;

  constructor() {
    count += 1;
    this.name = `kata-test-${process.pid}-${count}`;
    execFileSync('ip', ['netns', 'add', this.name]);
    this.tools = new SystemTools(['ip', 'netns', 'exec', this.name]);
    this.syscalls = syscallsIn(`/run/netns/${this.name}`);
    this.media = directMedia(this.syscalls);
    this.ip('link', 'set', 'lo', 'up');
  }

  ip(...args: readonly string[]): string {
    return execFileSync('ip', ['-n', this.name, ...args], { encoding: 'utf8' });
  }

  /** Runs a program in the namespace; returns its output. */
  exec(program: string, ...args: readonly string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, program, ...args], { encoding: 'utf8' });
  }

  /** Creates a veth pair to another namespace. */
  connect(name: string, other: NetworkNamespace, otherName: string): void {
    this.ip('link', 'add', name, 'type', 'veth', 'peer', 'name', otherName, 'netns', other.name);
  }

  remove(): void {
    execFileSync('ip', ['netns', 'delete', this.name]);
  }
}

/** System calls that create sockets in a network namespace. */
function syscallsIn(path: string): RecordingSyscalls {
  const kernel = loadSyscalls();
  return new RecordingSyscalls(
    {
      socket(domain, type, protocol) {
        const namespace = openSync(path, 'r');
        try {
          return visitNamespace(kernel, 'net', namespace, () => kernel.socket(domain, type, protocol));
        } finally {
          closeSync(namespace);
        }
      },
    },
    kernel,
  );
}
