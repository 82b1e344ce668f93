import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import {
  createPipe,
  loadSyscalls,
  type Pipe,
  PipeReader,
  PipeWriter,
  Reaper,
  Terminal,
  TerminalSocket,
} from './index.js';
import { buffer as allBytes } from 'node:stream/consumers';

const missing =
  process.getuid?.() !== 0
    ? 'containers need root'
    : spawnSync('runc', ['--version']).status === 0
      ? false
      : 'runc is not installed (apt-get install runc)';
const skip = process.env.CI === 'true' ? false : missing;

const syscalls = loadSyscalls();
const reaper = new Reaper(syscalls, { onFault: (error) => assert.fail(String(error)) });
const keepAlive = setInterval(() => undefined, 60_000);
after(() => {
  reaper.stop();
  clearInterval(keepAlive);
});

interface Bundle {
  readonly directory: string;
  readonly id: string;
}

/** A bundle with the machine's own programs, read-only, and a pid namespace. */
function bundle(context: TestContext, script: string, terminal: boolean): Bundle {
  const directory = mkdtempSync(join(tmpdir(), 'runc-'));
  const id = `linux-test-${process.pid}-${directory.slice(-6)}`;
  context.after(() => {
    spawnSync('runc', ['delete', '--force', id]);
    rmSync(directory, { recursive: true });
  });
  mkdirSync(join(directory, 'rootfs'));
  const bound = ['/bin', '/lib', '/lib64', '/usr'].filter((path) => existsSync(path));
  const config = {
    ociVersion: '1.0.2',
    process: {
      terminal,
      user: { uid: 0, gid: 0 },
      args: ['/bin/sh', '-c', script],
      env: ['PATH=/usr/bin:/bin'],
      cwd: '/',
    },
    root: { path: 'rootfs' },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      ...bound.map((path) => ({ destination: path, type: 'bind', source: path, options: ['rbind', 'ro'] })),
    ],
    linux: { namespaces: [{ type: 'pid' }, { type: 'mount' }, { type: 'ipc' }, { type: 'uts' }] },
  };
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  return { directory, id };
}

async function succeed(child: ChildProcess): Promise<void> {
  const [code] = (await once(child, 'exit')) as [number];
  assert.equal(code, 0);
}

/** Runs runc create detached and returns the pid of the first process, which can be waited for once runc has exited. */
async function create(
  { directory, id }: Bundle,
  stdio: readonly ['ignore' | number, 'ignore' | number, 'ignore' | number],
  more: readonly string[] = [],
): Promise<number> {
  const pidFile = join(directory, 'pid');
  await succeed(
    spawn('runc', ['create', '--bundle', directory, '--pid-file', pidFile, ...more, id], {
      stdio: [...stdio],
    }),
  );
  return Number(readFileSync(pidFile, 'utf8'));
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('a container on pipes: input, output, end of file both ways, exit code', { skip }, async (context) => {
  const before = descriptors();
  const container = bundle(context, 'cat; echo to stderr >&2; exit 42', false);
  const [input, output, errors]: readonly Pipe[] = [
    createPipe(syscalls),
    createPipe(syscalls),
    createPipe(syscalls),
  ];
  assert.ok(input && output && errors);
  const pid = await create(container, [input.read.fd, output.write.fd, errors.write.fd]);
  for (const given of [input.read, output.write, errors.write]) given.close();
  const exit = reaper.watch(pid);
  const [writer, stdout, stderr] = [
    new PipeWriter(input.write, 'test'),
    new PipeReader(output.read, 'test'),
    new PipeReader(errors.read, 'test'),
  ];
  await succeed(spawn('runc', ['start', container.id], { stdio: 'ignore' }));
  writer.end(Buffer.alloc(200_000, 'in'));
  const [printed, complained] = await Promise.all([allBytes(stdout), allBytes(stderr)]);
  assert.equal(printed.length, 200_000);
  assert.equal(complained.toString(), 'to stderr\n');
  assert.deepEqual(await exit, { code: 42 });
  assert.equal(descriptors(), before);
});

test('a container on a terminal: the master is received and a resize is seen', { skip }, async (context) => {
  const before = descriptors();
  const script = 'trap "stty size; exit 7" WINCH; tty; echo ready; while :; do sleep 0.05; done';
  const container = bundle(context, script, true);
  const socket = TerminalSocket.listen(syscalls, container.directory);
  const pid = await create(container, ['ignore', 'ignore', 'ignore'], ['--console-socket', socket.path]);
  const terminal = new Terminal(syscalls, socket.receive());
  socket.close();
  const exit = reaper.watch(pid);
  await succeed(spawn('runc', ['start', container.id], { stdio: 'ignore' }));
  let printed = '';
  for await (const chunk of terminal) {
    const waiting = !printed.includes('ready');
    printed += String(chunk);
    if (waiting && printed.includes('ready')) terminal.resize(33, 99);
  }
  assert.match(printed, /^\/dev\/pts\/0\r\nready\r\n(?:.*\r\n)*33 99\r\n$/);
  assert.deepEqual(await exit, { code: 7 });
  assert.equal(descriptors(), before);
});

test('a container that ended before it was watched, and one that was killed', { skip }, async (context) => {
  const quick = bundle(context, 'exit 5', false);
  const pid = await create(quick, ['ignore', 'ignore', 'ignore']);
  await succeed(spawn('runc', ['start', quick.id], { stdio: 'ignore' }));
  while (existsSync(`/proc/${pid}`)) await once(process, 'SIGCHLD');
  assert.deepEqual(await reaper.watch(pid), { code: 5 });

  const lasting = bundle(context, 'exec sleep 60', false);
  const victim = await create(lasting, ['ignore', 'ignore', 'ignore']);
  await succeed(spawn('runc', ['start', lasting.id], { stdio: 'ignore' }));
  const exit = reaper.watch(victim);
  await succeed(spawn('runc', ['kill', lasting.id, 'KILL'], { stdio: 'ignore' }));
  assert.deepEqual(await exit, { code: 137, signal: 9 });
});
