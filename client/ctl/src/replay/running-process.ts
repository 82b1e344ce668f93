import { readBytes } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import type { Phase } from '@kata-agent/catalogue';
import { CallError } from '@kata-agent/cli';
import type { ReplayedCalls, Runtime } from './replayed-calls.js';

export interface ProcessTarget {
  readonly containerId: string;
  readonly execId: string;
}

export interface ProcessAttachment {
  readonly phase: Phase;
  readonly about: string;
  readonly runtime: Runtime;
  readonly terminal: boolean;
  readonly stdin?: string | undefined;
}

/**
 * A started process, attended as a runtime does: both streams are read to their ends, with two concurrent reads on
 * one connection, before the wait.
 */
export class RunningProcess {
  readonly #record: ReplayedCalls;
  readonly #target: ProcessTarget;
  readonly #attachment: ProcessAttachment;
  #stdout = '';
  #stderr = '';
  #changed: (() => void)[] = [];
  /** Resolves with the exit code. */
  readonly exit: Promise<number>;

  constructor(record: ReplayedCalls, target: ProcessTarget, attachment: ProcessAttachment) {
    this.#record = record;
    this.#target = target;
    this.#attachment = attachment;
    this.exit = this.#follow();
    // The caller may never await it: without this handler a rejection would end the program.
    this.exit.catch(() => undefined);
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves when there is more output, or when the process has ended. */
  changed(): Promise<void> {
    return Promise.race([
      new Promise<void>((resolve) => this.#changed.push(resolve)),
      this.exit.then(
        () => undefined,
        () => undefined,
      ),
    ]);
  }

  async #follow(): Promise<number> {
    const { phase, about, terminal, stdin } = this.#attachment;
    const input = stdin === undefined ? Promise.resolve() : this.#write(Buffer.from(stdin));
    await Promise.all([
      input,
      this.#read('readStdout', (text) => {
        this.#stdout += text;
      }),
      // With a terminal both streams are one.
      terminal
        ? undefined
        : this.#read('readStderr', (text) => {
            this.#stderr += text;
          }),
    ]);
    const reply = await this.#record.call({ phase, about }, AgentService.method.waitProcess, {
      ...this.#target,
    });
    return reply.status;
  }

  /** On an error the copy ends, and the process is waited for. */
  async #read(name: 'readStdout' | 'readStderr', take: (text: string) => void): Promise<void> {
    const method = AgentService.method[name];
    const { phase, about } = this.#attachment;
    const decoder = new TextDecoder();
    try {
      for (;;) {
        const { data } = await this.#record.quiet(method, { ...this.#target, len: readBytes });
        if (data.length === 0) break;
        take(decoder.decode(data, { stream: true }));
        for (const tell of this.#changed.splice(0)) tell();
      }
      this.#record.note({ phase, about, method: method.name, status: 'OK' });
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const { status, serverMessage } = error;
      this.#record.note({ phase, about, method: method.name, status, serverMessage });
    }
  }

  /** The Go runtime closes by CloseStdin, runtime-rs by an empty write. */
  async #write(data: Buffer): Promise<void> {
    const { phase, about, runtime } = this.#attachment;
    const { writeStdin, closeStdin } = AgentService.method;
    for (let offset = 0; offset < data.length; ) {
      const piece = data.subarray(offset, offset + readBytes);
      const { len } = await this.#record.call({ phase, about }, writeStdin, { ...this.#target, data: piece });
      offset += len;
    }
    if (runtime === 'go') await this.#record.call({ phase, about }, closeStdin, { ...this.#target });
    else await this.#record.call({ phase, about }, writeStdin, { ...this.#target, data: Buffer.alloc(0) });
  }
}
