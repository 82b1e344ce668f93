import { execFileSync } from 'node:child_process';
import { SystemTools } from '../tool/tools.js';

let count = 0;

/** A network namespace of a test, beside the machine's own. */
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

  /** Runs a program in it. */
  exec(program: string, ...args: readonly string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, program, ...args], { encoding: 'utf8' });
  }

  /** A cable to another namespace; the name of each end. */
  connect(name: string, other: NetworkNamespace, otherName: string): void {
    this.ip('link', 'add', name, 'type', 'veth', 'peer', 'name', otherName, 'netns', other.name);
  }

  remove(): void {
    execFileSync('ip', ['netns', 'delete', this.name]);
  }
}
