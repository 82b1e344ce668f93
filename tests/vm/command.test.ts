import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { repository } from '../harness/repository.js';
import { whyNoMachine } from './machine.js';

const skip = whyNoMachine() ?? false;
/** The image of another test, which is already compressed. */
const config = join(repository, 'examples', 'start.toml');

describe('npm run vm', { skip }, () => {
  let directory = '';
  const started: Command[] = [];

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-vm-command-'));
  });

  after(async () => {
    for (const command of started) await command.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Runs it in a directory of this test. */
  function vm(...words: readonly string[]): Command {
    const command = new Command(directory, words);
    started.push(command);
    return command;
  }

  it('rejects unknown words, and has nothing to stop at first', async () => {
    assert.equal(await vm('--nonsense', 'x').ended, 2);
    const stop = vm('--stop');
    assert.equal(await stop.ended, 1);
    assert.equal(stop.output, `no machine runs in ${directory}\n`);
  });

  it('runs one machine in a directory, and can be stopped from elsewhere', async () => {
    const first = vm('--config', config);
    await first.says('the agent listens');
    assert.ok(existsSync(join(directory, 'agent.sock')));

    const second = vm();
    assert.equal(await second.ended, 1);
    assert.match(second.output, /^a machine already runs in .*\nhelp: stop it with `npm run vm -- --stop`/);

    const stop = vm('--stop');
    assert.equal(await stop.ended, 0);
    assert.equal(stop.output, '• the machine is off\n');
    assert.equal(await first.ended, 0);
    assert.match(first.output, /• stopping the machine\n• the machine is off\n$/);
    const log = readFileSync(join(directory, 'console.log'), 'utf8');
    assert.match(log, /PID 1 ends with code 0; the machine is powered off/);
    assert.equal(await vm('--stop').ended, 1, 'nothing is left to stop');
  });

  it('ends the machine when it is killed, and can restart in the same directory', async () => {
    const killed = vm('--config', config);
    await killed.says('booting');
    const machine = await until(() => machineOf(killed.pid));
    process.kill(killed.pid, 'SIGKILL');
    await killed.ended;
    await until(() => (existsSync(`/proc/${machine}`) ? undefined : true));

    const next = vm('--config', config);
    await next.says('booting');
    await until(() => machineOf(next.pid));
    assert.equal(await vm('--stop').ended, 0);
    assert.equal(await next.ended, 1);
    assert.match(next.output, /--stop before the agent listened: killing the machine/);
  });

  for (const [what, program, more, reason] of [
    ['panics', 'true', [], /the guest's kernel panicked: Attempted to kill init!/],
    [
      'never listens',
      'sleep 100000',
      ['--timeout', '20'],
      /the guest did not become ready: .* 20 s[^]*\nhelp: /,
    ],
  ] as const) {
    it(`fails with the reason if the guest ${what}, and leaves nothing`, async () => {
      const left = (): readonly string[] =>
        readdirSync(directory).filter((name) => name.startsWith('kata-vm-') || name.endsWith('.sock'));
      // Left by the killed one.
      const before = left();
      const words = ['--append', `rdinit=/usr/bin/busybox -- ${program}`, ...more];
      const command = vm('--config', config, '--accel', 'tcg', ...words, 'true');
      assert.equal(await command.ended, 1, command.output);
      assert.match(command.output, /booting under TCG; the console is in/);
      assert.match(command.output, reason);
      assert.deepEqual(left(), before);
    });
  }

  it('fails with the reason if the machine fails while it is used, and ends the command', async () => {
    // SIGTERM could reach sleep before it is executed, when it is still a shell that traps the signal.
    const waits = "trap 'kill -9 $!; exit 9' TERM; echo the command waits >&2; sleep 100000 & wait";
    const command = vm('--config', config, '--', 'sh', '-c', waits);
    await command.says('the command waits');
    process.kill(machineOf(command.pid) ?? assert.fail('no machine'), 'SIGKILL');
    assert.equal(await command.ended, 9, command.output);
    assert.match(
      command.output,
      /the machine failed: QEMU exited with SIGKILL\n[^]*listening[^]*the machine is off\n$/,
    );
  });
});

/** A started process, its output so far, and its end. */
class Command {
  readonly pid: number;
  output = '';
  /** Its exit code; null after a signal. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;

  /** What it leaves when it is killed is in the directory, too. */
  constructor(directory: string, words: readonly string[]) {
    const program = join(repository, 'scripts', 'vm.mjs');
    this.#child = spawn(process.execPath, [program, '--compiled', '--directory', directory, ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, TMPDIR: directory },
    });
    this.pid = this.#child.pid ?? 0;
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      this.#child.emit('line');
    });
    this.ended = once(this.#child, 'close').then(([code]) => code as number | null);
  }

  /** Kills it and its machine; does nothing if it has ended. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  /** Resolves once it has printed this; rejects if it ends before. */
  async says(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      const goesOn = await Promise.race([once(this.#child, 'line'), this.ended.then(() => undefined)]);
      assert.ok(goesOn, this.output);
    }
  }
}

/** Returns the machine that a process started. */
function machineOf(parent: number): number | undefined {
  const children = contents(`/proc/${parent}/task/${parent}/children`).trim().split(' ');
  const found = children.find((pid) => {
    const [program = '', ...words] = contents(`/proc/${pid}/cmdline`).split('\0');
    return program.startsWith('qemu') && words.includes('-kernel');
  });
  return found === undefined ? undefined : Number(found);
}

/** Returns undefined for a process that has ended. */
function contents(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

/** Retries for five minutes. */
async function until<T>(look: () => T | undefined): Promise<T> {
  for (let looks = 0; looks < 15_000; looks++) {
    const seen = look();
    if (seen !== undefined) return seen;
    await delay(20);
  }
  assert.fail('the condition did not hold in time');
}
