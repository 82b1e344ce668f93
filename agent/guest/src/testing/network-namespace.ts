import { execFileSync } from 'node:child_process';
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

  constructor() {
    count += 1;
    this.name = `kata-test-${process.pid}-${count}`;
    execFileSync('ip', ['netns', 'add', this.name]);
    this.tools = new SystemTools(['ip', 'netns', 'exec', this.name]);
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
