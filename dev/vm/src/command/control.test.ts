import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { lockDirectory, runCommand, stopMachineIn } from './control.js';

const commandDirectory = mkdtempSync(join(tmpdir(), 'kata-vm-command-'));

after(() => rmSync(commandDirectory, { recursive: true }));

const file = join(commandDirectory, 'file');

writeFileSync(file, '');

describe('the command of npm run vm', () => {
  const run = (
    words: readonly [program: string, ...args: string[]],
    stopRequested: Promise<string> = new Promise(() => undefined),
  ) => runCommand(words, { env: process.env, stopRequested });

  it('returns its exit code as a shell does', async () => {
    assert.equal(await run(['sh', '-c', 'exit 7']), 7);
    assert.equal(await run(['sh', '-c', 'kill -TERM $$']), 128 + 15);
    assert.equal(await run([join(commandDirectory, 'gone')]), 127);
    assert.equal(await run([file]), 126);
  });

  it('is terminated when the machine is stopped', async () => {
    assert.equal(await run(['sleep', '1000'], Promise.resolve('--stop')), 128 + 15);
  });
});

const directory = mkdtempSync(join(tmpdir(), 'kata-vm-control-'));
after(() => rmSync(directory, { recursive: true }));

describe('a directory that a process has locked', () => {
  it('cannot be locked twice, and receives stop requests', async () => {
    const target = join(directory, 'one');
    mkdirSync(target);
    let request: (value: string) => void = () => undefined;
    const requested = new Promise<string>((resolve) => {
      request = resolve;
    });
    const unlock = await lockDirectory(target, () => request('stop'));
    await assert.rejects(
      lockDirectory(target, () => undefined),
      /^Error: a machine already runs in .*one\nhelp: /,
    );
    const stopped = stopMachineIn(target);
    assert.equal(await requested, 'stop');
    unlock();
    assert.equal(await stopped, true);
    assert.equal(await stopMachineIn(target), false);
  });

  it('is locked by a socket of mode 0600, and can be locked again after its process was killed', async () => {
    const target = join(directory, 'stale');
    mkdirSync(target);
    const socket = join(target, 'stop.sock');
    const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    assert.ok(existsSync(socket));
    const before = process.umask(0);
    const unlock = await lockDirectory(target, () => undefined).finally(() => process.umask(before));
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    unlock();
  });
});
