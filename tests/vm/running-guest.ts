import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { AgentService } from '@kata-agent/protocol/agent';
import { type Channel, type Client, connect, createClient } from '@kata-agent/ttrpc';
import { agentPort } from '@kata-agent/tool-vm/inside/ports';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { connectTo, serves } from './machine.js';

/** A guest that runs during the tests of a `describe`. Its members exist from `before` on. */
export class RunningGuest {
  /** The test's own directory, removed after it. */
  directory = '';
  #machine: Machine | undefined;
  #channel: Channel | undefined;

  get machine(): Machine {
    if (this.#machine === undefined) throw new Error('the guest does not run');
    return this.#machine;
  }

  /** Connects on first use. */
  get agent(): Client<typeof AgentService> {
    this.#channel ??= connect(connectTo(this.machine, agentPort));
    return createClient(AgentService, this.#channel);
  }

  async begin(name: string, start: (directory: string) => Promise<Machine>): Promise<void> {
    this.directory = mkdtempSync(join(tmpdir(), `kata-vm-${name}-`));
    this.#machine = await start(this.directory);
    await serves(this.#machine);
  }

  /** Also after a partial start. */
  async end(): Promise<void> {
    this.#channel?.close();
    await this.#machine?.kill();
    if (this.directory !== '') rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Call in a `describe`, before its other `before`s. `start` boots the machine. */
export function runningGuest(name: string, start: (directory: string) => Promise<Machine>): RunningGuest {
  const guest = new RunningGuest();
  before(() => guest.begin(name, start));
  // Node.js calls this also after a failed `before`.
  after(() => guest.end());
  return guest;
}
