// One start of QEMU, from there to its end, and why it ended.
import { EventEmitter, once } from 'node:events';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { chosenPorts } from './vm-forward.mjs';
import { Qmp } from './vm-qmp.mjs';

/** The number of the descriptor at which QEMU serves QMP to this process alone; the socket in the folder is for others. */
export const watchDescriptor = 3;

/** The states in which QEMU keeps a machine that does not go on, and its process with it (QMP's RunState). */
const stopped = {
  'internal-error': 'the accelerator cannot run the guest',
  'guest-panicked': 'the guest panicked',
  'io-error': 'a disk’s file cannot be read or written; is its file system full?',
  watchdog: 'the guest’s watchdog ran out',
  shutdown: 'the guest is shut down, and QEMU was started to stay',
};

/**
 * Emits `line` with the text, and whether it is the console's or QEMU's own. `ended` resolves with QEMU's exit `code` or `signal`, and with the
 * `reason`, an object with a `kind` and a `text`, where there is one: QEMU `stopped` it in a `state`, the kernel `panicked`,
 * QEMU does not answer (`mute`), who waited gave up (`hung`), or it was `killed` by a caller.
 */
export class Run extends EventEmitter {
  /** QEMU's own lines. */
  own = [];
  ended;
  #qemu;
  #qmp;
  #limits;
  #reason;
  #afterPanic;

  /** `qemu`: its process. `folder`: gone with it; `helpers`: processes that end with it. */
  constructor({ qemu, folder, helpers, limits }) {
    super();
    this.#qemu = qemu;
    this.#limits = limits;
    this.#qmp = new Qmp(qemu.stdio[watchDescriptor], limits);
    this.#qmp.on('STOP', () => void this.#look());
    read(qemu.stdout, (line) => {
      this.emit('line', line, true);
      this.#seePanic(line);
    });
    read(qemu.stderr, (line) => {
      this.own.push(line);
      this.emit('line', line, false);
    });
    qemu.once('error', (error) => this.own.push(error.message));
    this.ended = new Promise((resolve) => {
      qemu.once('close', async (code, signal) => {
        clearTimeout(this.#afterPanic);
        await Promise.all(helpers.map(ended));
        rmSync(folder, { recursive: true, force: true });
        resolve({ code, signal, ...(this.#reason === undefined ? {} : { reason: this.#reason }) });
      });
    });
  }

  /** Resolves with the ports that QEMU chose, once it answers; with undefined when it does not. */
  async up() {
    try {
      await this.#qmp.execute('qmp_capabilities');
      const ports = await chosenPorts(this.#qmp);
      // It may have stopped before there were events.
      await this.#look();
      return ports;
    } catch (error) {
      this.#failToAnswer(error);
      return undefined;
    }
  }

  /** Ends it for a reason; the first one counts. */
  end(reason) {
    this.#reason ??= reason;
    this.#qemu.kill('SIGKILL');
  }

  async #look() {
    try {
      const { status } = await this.#qmp.execute('query-status');
      // `paused` is what somebody asked for.
      if (stopped[status] === undefined) return;
      this.end({ kind: 'stopped', state: status, text: `QEMU stopped it: ${status} (${stopped[status]})` });
    } catch (error) {
      this.#failToAnswer(error);
    }
  }

  /** Nothing more than its end where it has ended. */
  #failToAnswer(error) {
    if (!this.#qmp.closed) this.end({ kind: 'mute', text: error.message });
  }

  /** A kernel that panics is reset at once, after some seconds, or never, as its line says. */
  #seePanic(line) {
    const [, what] = /Kernel panic - not syncing: (.*)/.exec(line) ?? [];
    if (what === undefined) return;
    const reason = { kind: 'panicked', text: `the guest's kernel panicked: ${what}` };
    // Written only when it stays.
    if (line.includes('end Kernel panic')) return this.end(reason);
    this.#reason ??= reason;
    this.#afterPanic ??= setTimeout(() => this.end(reason), this.#limits.panic * 1000);
  }
}

/** Seconds that a helper has to let go of its files. */
const helperPatience = 10;

/** Ends a helper. Until it is gone, its files are not free for the next one: swtpm locks the folder with its keys. */
async function ended(helper) {
  // One that could not be started has no process.
  if (helper?.pid === undefined || helper.exitCode !== null || helper.signalCode !== null) return;
  const gone = once(helper, 'exit');
  const impatience = setTimeout(() => helper.kill('SIGKILL'), helperPatience * 1000);
  helper.kill();
  await gone;
  clearTimeout(impatience);
}

function read(stream, take) {
  createInterface({ input: stream }).on('line', (line) => take(plain(line)));
}

/** A console's line without what the firmware sends to move the cursor. */
function plain(line) {
  return line.replace(/\u001b(\[[0-9;?]*[a-zA-Z]|c)/g, '').replace(/\r/g, '');
}
