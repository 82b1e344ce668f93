import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  create,
  createFileRegistry,
  type DescMessage,
  type DescMethod,
  type Message,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { CallOptions, Channel } from '@kata-agent/ttrpc';
import { waitUntil } from './retry.js';
import type { Built } from '../interop/artifacts.js';

/** The reply of tests/interop/go/src/inner-agent to any call. */
export interface InnerReply {
  /** The bytes of the request as received. */
  readonly request: Uint8Array;
  readonly method: string;
  readonly metadata: Readonly<Record<string, readonly string[]>> | null;
  /** The time that it had, in ms. */
  readonly remainingMs: number | undefined;
}

const replySchema = ((): DescMessage => {
  const field = (name: string, number: number, type: number) => ({ name, number, type, label: 1 });
  const file = {
    name: 'inner.proto',
    package: 'inner',
    syntax: 'proto3',
    messageType: [
      {
        name: 'Reply',
        field: [
          field('request', 1000, 12),
          field('method', 1001, 9),
          field('metadata', 1002, 9),
          field('remaining', 1003, 9),
        ],
      },
    ],
  };
  const found = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] })).getMessage(
    'inner.Reply',
  );
  if (found === undefined) throw new Error('inner.Reply was not registered');
  return found;
})();

/** Calls a method through a channel, with a request of another type if `request` is one. */
export async function callInner(
  channel: Channel,
  method: DescMethod,
  request: Message,
  options: CallOptions & { readonly input?: DescMessage } = {},
): Promise<InnerReply> {
  const { input = method.input, ...rest } = options;
  const reply = await channel.call({ ...method, input, output: replySchema }, request, rest);
  const fields = reply as unknown as {
    readonly request: Uint8Array;
    readonly method: string;
    readonly metadata: string;
    readonly remaining: string;
  };
  return {
    request: fields.request,
    method: fields.method,
    metadata: fields.metadata === '' ? null : (JSON.parse(fields.metadata) as InnerReply['metadata']),
    remainingMs: fields.remaining === '' ? undefined : Number(fields.remaining),
  };
}

/** An agent behind forward mode: Go's server of AgentService, which answers with what it received. */
export class InnerAgentProcess {
  /** A directory that only its owner can enter. */
  readonly directory: string = mkdtempSync(join(tmpdir(), 'kata-inner-'));
  readonly socket: string = join(this.directory, 'agent.sock');
  /** The methods that it was called with, in order. */
  readonly calls: string[] = [];
  readonly #built: Built & { ok: true };
  #child: ChildProcess | undefined;

  constructor(built: Built) {
    if (!built.ok) throw new Error(built.missing);
    this.#built = built;
  }

  get address(): string {
    return `unix://${this.socket}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts it, and waits until it listens. */
  async start(...more: readonly string[]): Promise<void> {
    rmSync(this.socket, { force: true });
    const args = ['-descriptors', this.#built.path('kata.binpb'), '-listen', this.socket, ...more];
    const child = spawn(this.#built.path('inner-agent'), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    const lines = createInterface({ input: child.stdout });
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => {
        if (line === 'ready') resolve();
        else if (line.startsWith('call ')) this.calls.push(line.slice('call '.length));
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`the inner agent ended: ${code ?? signal}`)));
    });
  }

  /** Stops it, and waits until none of its threads runs. */
  async pause(): Promise<void> {
    this.#child?.kill('SIGSTOP');
    const states = (): readonly string[] =>
      readdirSync(`/proc/${this.pid}/task`).map(
        (task) =>
          /^State:\s+(\S)/m.exec(readFileSync(`/proc/${this.pid}/task/${task}/status`, 'utf8'))?.[1] ?? '',
      );
    await waitUntil('the inner agent stops', () => states().every((state) => state === 'T'));
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Kills it. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
