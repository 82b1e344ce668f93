// Saves the state of a running machine to a file, and starts machines that continue from it, as many as one likes. The host can do this
// with every guest whose memory it can read.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import type { Qmp } from '@kata-agent/tool-vm/machine/qmp';
import { newKey } from '@kata-agent/tool-vm/machine/start-machine';
import { boot, type Image } from './machine.js';

/** How a machine is booted, and each copy of it. */
interface Hardware {
  readonly image: Image;
  readonly disks: readonly string[];
  /** TCP ports of this machine that the guest reaches. */
  readonly reach: readonly number[];
}

/** A machine whose state can be saved: each copy has the same devices, and the key that is in the guest's memory. */
export class SavableMachine {
  readonly machine: Machine;
  readonly #hardware: Hardware;
  readonly #directory: string;
  readonly #key: string;

  private constructor(machine: Machine, hardware: Hardware, directory: string, key: string) {
    this.machine = machine;
    this.#hardware = hardware;
    this.#directory = directory;
    this.#key = key;
  }

  static async boot(hardware: Hardware, directory: string): Promise<SavableMachine> {
    const { image, ...devices } = hardware;
    const key = newKey();
    return new SavableMachine(await boot(image, directory, { ...devices, key }), hardware, directory, key);
  }

  /** Stops the machine, saves its memory, devices and disks, and powers it off. */
  async save(): Promise<void> {
    const qmp = await this.machine.qmp();
    await qmp.execute('stop');
    // QEMU before 8.2 has no `file:`.
    await qmp.execute('migrate', { uri: `exec:cat > '${this.#state}'` });
    await migrated(qmp);
    for (const [index, disk] of this.#hardware.disks.entries())
      copyFileSync(disk, this.#disk('saved', index));
    qmp.close();
    await this.machine.kill();
  }

  /** Starts a machine that continues from the saved state, with disks of its own. Resolves when its processor runs. */
  async restore(name: string): Promise<Machine> {
    const { image, disks, reach } = this.#hardware;
    const own = disks.map((_, index) => {
      copyFileSync(this.#disk('saved', index), this.#disk(name, index));
      return this.#disk(name, index);
    });
    const machine = await boot(image, join(this.#directory, name), {
      disks: own,
      reach,
      key: this.#key,
      args: ['-incoming', 'defer'],
    });
    const qmp = await machine.qmp();
    await qmp.execute('migrate-incoming', { uri: `exec:cat '${this.#state}'` });
    await migrated(qmp);
    // It was stopped when it was saved, and is so again.
    await qmp.execute('cont');
    qmp.close();
    return machine;
  }

  get #state(): string {
    return join(this.#directory, 'state');
  }

  #disk(name: string, index: number): string {
    return join(this.#directory, `${name}-${index}.img`);
  }
}

/** Waits for the end of a migration. Throws if it fails. */
async function migrated(qmp: Qmp): Promise<void> {
  for (;;) {
    const info = (await qmp.execute('query-migrate')) as Readonly<Record<string, unknown>>;
    if (info['status'] === 'completed') return;
    if (info['status'] === 'failed') throw new Error(`QEMU's migration failed: ${JSON.stringify(info)}`);
    await delay(20);
  }
}
