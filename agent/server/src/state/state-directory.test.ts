import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { loadSyscalls, RecordingSyscalls } from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';
import { takeStateDirectory } from './state-directory.js';

const kernel = loadSyscalls();
const isRoot = process.geteuid?.() === 0;

describe('the state directory', () => {
  let directory = '';
  let state = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'state-'));
    state = join(directory, 'state');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const refused = async (text: string | RegExp, syscalls = kernel) => {
    await assert.rejects(takeStateDirectory(state, syscalls), (error) => {
      assert.ok(error instanceof CannotApply, String(error));
      assert.ok(
        typeof text === 'string' ? error.message.includes(text) : text.test(error.message),
        error.message,
      );
      assert.notEqual(error.help, undefined);
      return true;
    });
  };

  it('is created for its owner only, and locked once', async () => {
    await takeStateDirectory(state, kernel);
    assert.equal(statSync(state).mode & 0o777, 0o700);
    assert.equal(statSync(join(state, 'lock')).mode & 0o777, 0o600);
    assert.match(
      readFileSync(join(state, 'lock'), 'utf8'),
      new RegExp(`^${process.pid} \\(.*state-directory\\.test\\.js`),
    );
    await refused(`process ${process.pid} (`);
  });

  it('is kept if it exists, and a lock file that others can open is restricted', async () => {
    mkdirSync(state, { mode: 0o755 });
    writeFileSync(join(state, 'lock'), 'an older and much longer text than the one written now'.repeat(20));
    writeFileSync(join(state, 'sandbox.json'), '{}');
    chmodSync(join(state, 'lock'), 0o644);
    await takeStateDirectory(state, kernel);
    assert.equal(statSync(state).mode & 0o777, 0o755);
    assert.equal(statSync(join(state, 'lock')).mode & 0o777, 0o600);
    assert.match(readFileSync(join(state, 'lock'), 'utf8'), /^\d+ \(.*\)\n$/);
    assert.deepEqual(readdirSync(state).sort(), ['lock', 'sandbox.json']);
  });

  it('is not created without its parent', async () => {
    state = join(directory, 'no', 'state');
    await refused('ENOENT');
    assert.ok(!existsSync(join(directory, 'no')));
  });

  it('must be neither a link nor a file', async () => {
    mkdirSync(join(directory, 'elsewhere'));
    symlinkSync('elsewhere', state);
    await refused('symbolic link');
    rmSync(state);
    writeFileSync(state, '');
    await refused('not a directory');
    assert.deepEqual(readdirSync(join(directory, 'elsewhere')), []);
  });

  it('must be writable only by its owner', async () => {
    mkdirSync(state);
    chmodSync(state, 0o770);
    await refused('other users can write to it (mode 770)');
    assert.deepEqual(readdirSync(state), []);
  });

  it('must belong to us, and so must the lock file', { skip: isRoot ? false : 'needs root' }, async () => {
    mkdirSync(state);
    chownSync(state, 1, 1);
    await refused('it belongs to uid 1, and this agent is uid 0');
    chownSync(state, 0, 0);
    writeFileSync(join(state, 'lock'), '');
    chownSync(join(state, 'lock'), 1, 1);
    await refused(/lock file .* belongs to uid 1/);
  });

  for (const [name, make] of [
    ['a link', (path: string) => symlinkSync('/etc/passwd', path)],
    ['a link to nothing', (path: string) => symlinkSync('nothing', path)],
    ['a directory', (path: string) => mkdirSync(path)],
    ['a FIFO', (path: string) => assert.equal(spawnSync('mkfifo', [path]).status, 0)],
  ] as const) {
    it(`rejects a lock file that is ${name}, and leaves it`, async () => {
      mkdirSync(state, { mode: 0o700 });
      const path = join(state, 'lock');
      make(path);
      await refused(`lock file ${path} cannot be used`);
      assert.deepEqual(readdirSync(state), ['lock']);
    });
  }

  it('is rejected on a file system without locks', async () => {
    const syscalls = new RecordingSyscalls({}, kernel);
    syscalls.fail('tryLock', 'ENOLCK');
    await refused('ENOLCK', syscalls);
  });

  it('waits for a child of a dead agent, with a limit', async () => {
    let answers = [false, false, true];
    // A lock without a visible holder.
    const syscalls = new RecordingSyscalls({ tryLock: () => answers.shift() ?? false }, kernel);
    await takeStateDirectory(state, syscalls);
    assert.equal(answers.length, 0);
    answers = [];
    writeFileSync(join(state, 'lock'), '42 (an\u001b[1m agent)\n');
    await refused('a process in another PID namespace (there: process 42 (an [1m agent))', syscalls);
  });
});
