import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { AgentService } from '@kata-agent/protocol/agent';
import { type Channel, type Client, connect, createClient } from '@kata-agent/ttrpc';
import { connectTo, type Machine, scripts, serves } from './machine.js';

/** A guest that runs while the tests of a `describe` do. Its parts are there from `before` on. */
export class RunningGuest {
  /** The test's own, gone after it. */
  folder = '';
  #machine: Machine | undefined;
  #channel: Channel | undefined;

  get machine(): Machine {
    if (this.#machine === undefined) throw new Error('the guest does not run');
    return this.#machine;
  }

  /** Connected when it is first asked for. */
  get agent(): Client<typeof AgentService> {
    this.#channel ??= connect(connectTo(this.machine, scripts.agentPort));
    return createClient(AgentService, this.#channel);
  }

  async begin(name: string, start: (folder: string) => Promise<Machine>): Promise<void> {
    this.folder = mkdtempSync(join(tmpdir(), `kata-vm-${name}-`));
    this.#machine = await start(this.folder);
    await serves(this.#machine);
  }

  /** However far it came. */
  async end(): Promise<void> {
    this.#channel?.close();
    await this.#machine?.kill();
    if (this.folder !== '') rmSync(this.folder, { recursive: true, force: true });
  }
}

/** To be called in a `describe`, whose other `before`s come after the guest's. `start` boots what it runs on. */
export function runningGuest(name: string, start: (folder: string) => Promise<Machine>): RunningGuest {
  const guest = new RunningGuest();
  before(() => guest.begin(name, start));
  // Node.js calls this when `before` has failed, too.
  after(() => guest.end());
  return guest;
}
