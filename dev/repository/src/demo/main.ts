// `npm start`: demonstrates the main purpose. An agent with examples/start.toml runs a real container and
// denies an exec; then its audit log is verified.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { missingText, root } from '@kata-agent/setup/bootstrap';
import { inPath, missingOf } from '@kata-agent/setup/prerequisites';

/** The output of a program and its exit code; null after a signal. */
interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
const paint = (code: string, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
const agentProgram = join(root, 'agent', 'server', 'bin', 'kata-agent.mjs');
const clientProgram = join(root, 'client', 'ctl', 'bin', 'kata-agent-ctl.mjs');

let step = 0;
const title = (text: string): void => console.log(`\n${paint('1', `${++step}. ${text}`)}`);
const command = (text: string): void => console.log(paint('36', `$ ${text}`));
const output = (text: string): void => console.log(text.trimEnd().replace(/^/gm, '  '));

function expect(condition: boolean, text: string): void {
  if (condition) return;
  console.error(paint('31', `unexpected result: ${text}`));
  process.exitCode = 1;
  throw new Error(text);
}

/** Creates a root file system with busybox. */
function makeRootfs(directory: string): void {
  const bin = join(directory, 'bin');
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp', 'etc'])
    mkdirSync(join(directory, name), { recursive: true });
  const busybox = spawnSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).stdout.trim();
  copyFileSync(busybox, join(bin, 'busybox'));
  chmodSync(join(bin, 'busybox'), 0o755);
  for (const applet of ['sh', 'cat', 'echo', 'id', 'ls']) symlinkSync('busybox', join(bin, applet));
}

/**
 * Writes examples/start.toml with two settings added: the path of the audit log, and the directory of the root
 * file system as an allowed path. Returns the path of the document.
 */
function makeConfiguration(directory: string, auditLog: string): string {
  const example = readFileSync(join(root, 'examples', 'start.toml'), 'utf8');
  const path = join(directory, 'start.toml');
  const paths = `[agent]\nguest_paths = ${JSON.stringify([directory])}`;
  const text = example.replace(/^\[agent\]$/m, paths);
  writeFileSync(path, `${text}\n[audit]\nfile = ${JSON.stringify(auditLog)}\n`, { mode: 0o644 });
  return path;
}

/**
 * Starts the agent and resolves once it listens. It runs in its own mount namespace with an empty /run, so that
 * it does not use files of a Kata installation on this machine and leaves none.
 */
function startAgent(config: string, address: string, isRoot: boolean): Promise<ChildProcess> {
  const args = [agentProgram, '-c', config, '--server-addr', address];
  const agent = spawn(
    'unshare',
    [
      ...(isRoot ? [] : ['--map-root-user']),
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      'mount -t tmpfs -o mode=755 kata-demo /run && exec "$0" "$@"',
      process.execPath,
      ...args,
    ],
    { stdio: ['ignore', 'inherit', 'pipe'] },
  );
  return new Promise((resolve, reject) => {
    const log: string[] = [];
    agent.once('exit', (code) => reject(new Error(`the agent ended with ${code}:\n${log.join('\n')}`)));
    createInterface({ input: agent.stderr }).on('line', (line) => {
      log.push(line);
      if (line.includes('"msg":"listening"')) resolve(agent);
    });
  });
}

/** Runs kata-agent-ctl with empty input. */
function runClient(args: readonly string[]): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [clientProgram, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    const streams = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        streams[name] += text;
      });
    }
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...streams }));
    child.stdin.end();
  });
}

/** The container's process: prints its ids, reads a line, prints it, and exits with 7. */
const script = 'echo "process $$, $(id -u):$(id -g)"; read line; echo "you wrote: $line"; exit 7';

async function showContainer(address: string, rootfs: string): Promise<void> {
  title('A container, created by kata-agent-ctl');
  const id = `demo-${process.pid}`;
  const args = ['--address', address, 'run', '--name', id, '-i', rootfs, '--', '/bin/sh', '-c', script];
  command(`kata-agent-ctl run --name ${id} -i ${rootfs} -- /bin/sh -c '${script}'`);
  const child = spawn(process.execPath, [clientProgram, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => resolve(code));
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  output((await lines.next()).value ?? '(nothing)');

  title('An exec into it, which the configuration does not allow');
  command(`kata-agent-ctl exec ${id} -- /bin/sh`);
  const denied = await runClient(['--address', address, 'exec', id, '--', '/bin/sh']);
  output(denied.stderr);
  expect(denied.code !== 0 && denied.stderr.includes('UNIMPLEMENTED'), 'the exec was not denied');

  title('The container reads a line, prints it and exits');
  child.stdin.end('hello from outside\n');
  const answer = (await lines.next()).value ?? '(nothing)';
  output(answer);
  const code = await ended;
  output(`exit code ${code}`);
  expect(answer === 'you wrote: hello from outside' && code === 7, `"${answer}" and exit code ${code}`);
}

async function showHealth(address: string): Promise<void> {
  title('Without root, runc and busybox no container can run; a check and a denied call');
  command('kata-agent-ctl check');
  output((await runClient(['--address', address, 'check'])).stdout);
  command('kata-agent-ctl call ExecProcess');
  const denied = await runClient(['--address', address, 'call', 'ExecProcess', '{}']);
  output(denied.stderr);
  expect(denied.stderr.includes('UNIMPLEMENTED'), 'the exec was not denied');
}

async function showAuditLog(auditLog: string): Promise<void> {
  title('The audit log, verified');
  command(`kata-agent-ctl audit show ${auditLog}`);
  output((await runClient(['audit', 'show', auditLog])).stdout);
  command(`kata-agent-ctl audit verify ${auditLog}`);
  const verified = await runClient(['audit', 'verify', auditLog]);
  output(`${verified.stdout}${verified.stderr}`);
  expect(verified.code === 0, 'the audit log is not valid');
}

const missing = missingOf('demo');
const isRoot = process.getuid?.() === 0;
const canRunContainers = isRoot && inPath('runc') && inPath('busybox');
if (!canRunContainers) {
  console.error(
    isRoot
      ? missingText(missing)
      : 'not root: containers need root\nhelp: run `sudo npm start` for the whole demonstration',
  );
}
const directory = mkdtempSync(join(tmpdir(), 'kata-agent-start-'));
let agent: ChildProcess | undefined;
try {
  const rootfs = join(directory, 'rootfs');
  const auditLog = join(directory, 'audit', 'audit.log');
  const address = `unix://${join(directory, 'agent.sock')}`;
  const config = makeConfiguration(directory, auditLog);
  if (canRunContainers) makeRootfs(rootfs);

  title('An agent with examples/start.toml: calls of a pod and its stdio, no exec, no CopyFile');
  command(`kata-agent -c examples/start.toml --server-addr ${address}`);
  agent = await startAgent(config, address, isRoot);
  output('the agent listens');

  if (canRunContainers) await showContainer(address, rootfs);
  else await showHealth(address);

  if (agent.exitCode === null) {
    agent.kill('SIGTERM');
    await once(agent, 'close');
  }
  await showAuditLog(auditLog);
  console.log(
    `\n${paint('32', 'Done')} in ${(performance.now() / 1000).toFixed(1)} s, including setup. Next: README.md, “Where to go next”.`,
  );
} finally {
  agent?.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
}
