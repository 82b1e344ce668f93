import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { createPipe, Descriptor, loadSyscalls, RecordingSyscalls, Terminal } from '../index.js';
import { openPseudoTerminal } from '../testing/pseudo-terminal.js';

const syscalls = loadSyscalls();

/** Runs a shell script with its own controlling terminal. */
function onTerminal(script: string): { terminal: Terminal; child: ChildProcess } {
  const { master, slave } = openPseudoTerminal();
  const child = spawn('setsid', ['-c', 'sh', '-c', script], { stdio: [slave, slave, slave] });
  closeSync(slave);
  return { terminal: new Terminal(syscalls, new Descriptor(syscalls, master)), child };
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null) await once(child, 'exit');
  return child.exitCode;
}

/** Reads until the text has arrived. */
async function until(terminal: Terminal, text: string): Promise<string> {
  let seen = '';
  while (!seen.includes(text)) {
    const chunk = terminal.read() as Buffer | null;
    if (chunk === null) await once(terminal, 'readable');
    else seen += chunk.toString();
  }
  return seen;
}

async function rest(terminal: Terminal): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of terminal) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

test('input is read by the program, output arrives, and its exit is end of file', async () => {
  const before = readdirSync('/proc/self/fd').length;
  const { terminal, child } = onTerminal('read x; echo "got $x"; exit 3');
  terminal.write('hello\n');
  assert.equal(await rest(terminal), 'hello\r\ngot hello\r\n');
  assert.equal(await exitOf(child), 3);
  if (!terminal.closed) await once(terminal, 'close');
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('a resize reaches the program with a signal', async () => {
  const { terminal, child } = onTerminal(
    'trap "stty size; exit 0" WINCH; echo ready; while :; do sleep 0.05; done',
  );
  await until(terminal, 'ready');
  terminal.resize(42, 137);
  assert.match(await rest(terminal), /42 137/);
  assert.equal(await exitOf(child), 0);
  terminal.resize(1, 1);
});

for (const [typed, seen] of [
  ['one\n', 'one'],
  ['two', 'two'],
  ['', ''],
] as const)
  test(`ending the input after ${JSON.stringify(typed)} is end of file for the program`, async () => {
    const { terminal, child } = onTerminal('stty -echo; echo ready; cat; echo "[end]"');
    await until(terminal, 'ready\r\n');
    terminal.end(typed);
    assert.equal((await rest(terminal)).replaceAll('\r\n', ''), `${seen}[end]`);
    assert.equal(await exitOf(child), 0);
  });

test('output is complete for a late reader too', async () => {
  const { terminal, child } = onTerminal('head -c 300000 /dev/zero | tr "\\0" x; echo; echo end');
  await once(terminal, 'readable');
  // The program's output exceeds what was read, so it cannot exit yet; nothing may be lost when it does.
  assert.ok(terminal.readableLength < 100_000);
  assert.equal(child.exitCode, null);
  const text = await rest(terminal);
  assert.equal(text.length, 300_000 + '\r\nend\r\n'.length);
  assert.ok(text.endsWith('x\r\nend\r\n'));
});

for (const size of [10, 4095, 4096, 20_000, 24_000])
  test(`${size} unread bytes survive the hang-up`, async () => {
    const { terminal, child } = onTerminal(`stty -opost -echo; head -c ${size} /dev/zero | tr "\\0" x`);
    await exitOf(child);
    terminal.write('to nobody');
    assert.equal((await rest(terminal)).length, size);
  });

test('a program that does not read its input does not block the event loop', async () => {
  const { terminal, child } = onTerminal('stty raw -echo; echo ready; read x; wc -c');
  await until(terminal, 'ready');
  child.kill('SIGSTOP');
  let taken = false;
  assert.equal(
    terminal.write(Buffer.alloc(1 << 20, 'y'), () => (taken = true)),
    false,
  );
  // With blocking writes this timer would never fire: nothing reads the other side.
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(taken, false);
  terminal.destroy();
  child.kill('SIGKILL');
  await once(child, 'exit');
});

test('destroying the stream hangs up: the program gets SIGHUP', async () => {
  const { terminal, child } = onTerminal('echo ready; exec sleep 60');
  await until(terminal, 'ready');
  terminal.destroy();
  const [, signal] = (await once(child, 'exit')) as [number | null, string];
  assert.equal(signal, 'SIGHUP');
});

test('a terminal that cannot be set up leaves only the master open', () => {
  const { master, slave } = openPseudoTerminal();
  closeSync(slave);
  const descriptor = new Descriptor(syscalls, master);
  const before = readdirSync('/proc/self/fd').length;
  const failing = new RecordingSyscalls({}, syscalls);
  failing.fail('dup3', 'EBADF');
  assert.throws(() => new Terminal(failing, descriptor), { code: 'EBADF' });
  failing.fail('socketpair', 'EMFILE');
  assert.throws(() => new Terminal(failing, descriptor), { code: 'EMFILE' });
  descriptor.close();
  return new Promise<void>((resolve) => {
    setImmediate(() => {
      assert.equal(readdirSync('/proc/self/fd').length, before - 1);
      resolve();
    });
  });
});

test('a descriptor that cannot be read is an error, not an end', async () => {
  const pipe = createPipe(syscalls);
  pipe.read.close();
  const terminal = new Terminal(syscalls, pipe.write);
  const [error] = (await once(terminal, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'EBADF');
  assert.equal(pipe.write.open, false);
});
