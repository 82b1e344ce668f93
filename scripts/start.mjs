// `npm start`: sets up, then shows the main job: an agent under examples/start.toml runs a real container,
// refuses an exec, and its record of all that is verified.
import { spawn, spawnSync } from 'node:child_process';
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
import { bootstrap, inPath, missingText, root } from './bootstrap.mjs';

const begin = Date.now();
const colour = process.stdout.isTTY && process.env.NO_COLOR === undefined;
const paint = (code, text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
const agentProgram = join(root, 'packages', 'agent', 'bin', 'kata-agent.mjs');
const clientProgram = join(root, 'packages', 'ctl', 'bin', 'kata-agent-ctl.mjs');

let step = 0;
const title = (text) => console.log(`\n${paint('1', `${++step}. ${text}`)}`);
const command = (text) => console.log(paint('36', `$ ${text}`));
const said = (text) => console.log(text.trimEnd().replace(/^/gm, '  '));

function expect(condition, text) {
  if (condition) return;
  console.error(paint('31', `This is not what should happen: ${text}`));
  process.exitCode = 1;
  throw new Error(text);
}

/** A root file system with busybox in it. */
function makeRootfs(folder) {
  const bin = join(folder, 'bin');
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp', 'etc'])
    mkdirSync(join(folder, name), { recursive: true });
  const busybox = spawnSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).stdout.trim();
  copyFileSync(busybox, join(bin, 'busybox'));
  chmodSync(join(bin, 'busybox'), 0o755);
  for (const applet of ['sh', 'cat', 'echo', 'id', 'ls']) symlinkSync('busybox', join(bin, applet));
}

/** The example, with its record where this demonstration can read it, and the directory that the root file system is in. */
function makeConfiguration(folder, auditLog) {
  const example = readFileSync(join(root, 'examples', 'start.toml'), 'utf8');
  const path = join(folder, 'start.toml');
  const paths = `[agent]\nguest_paths = ${JSON.stringify([folder])}`;
  const text = example.replace(/^\[agent\]$/m, paths);
  writeFileSync(path, `${text}\n[audit]\nfile = ${JSON.stringify(auditLog)}\n`, { mode: 0o644 });
  return path;
}

/**
 * Starts the agent and resolves once it listens. It gets a mount namespace with a /run of its own, so that it never meets
 * the files of a Kata installation on this machine, and nothing stays behind.
 */
function startAgent(config, address, isRoot) {
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
    const log = [];
    agent.once('exit', (code) => reject(new Error(`the agent ended with ${code}:\n${log.join('\n')}`)));
    createInterface({ input: agent.stderr }).on('line', (line) => {
      log.push(line);
      if (line.includes('"msg":"listening"')) resolve({ agent, log });
    });
  });
}

/** Runs the client to its end. */
function client(args, input) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [clientProgram, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => {
        output[name] += text;
      });
    }
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...output }));
    child.stdin.end(input ?? '');
  });
}

/** The container: it says who it is, waits for a line, answers it and ends with code 7. */
const script = 'echo "process $$, $(id -u):$(id -g)"; read line; echo "you wrote: $line"; exit 7';

async function showContainer(address, rootfs) {
  title('A real container, through our client');
  const id = `demo-${process.pid}`;
  const args = ['--address', address, 'run', '--name', id, '-i', rootfs, '--', '/bin/sh', '-c', script];
  command(`kata-agent-ctl run --name ${id} -i ${rootfs} -- /bin/sh -c '${script}'`);
  const child = spawn(process.execPath, [clientProgram, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  said((await lines.next()).value ?? '(nothing)');

  title('An exec into it, which the configuration does not serve');
  command(`kata-agent-ctl exec ${id} -- /bin/sh`);
  const refused = await client(['--address', address, 'exec', id, '--', '/bin/sh']);
  said(refused.stderr);
  expect(refused.code !== 0 && refused.stderr.includes('UNIMPLEMENTED'), 'the exec was not refused');

  title('The container gets its line, answers and ends');
  child.stdin.end('hello from outside\n');
  const answer = (await lines.next()).value ?? '(nothing)';
  said(answer);
  const code = await ended;
  said(`exit code ${code}`);
  expect(answer === 'you wrote: hello from outside' && code === 7, `"${answer}" and exit code ${code}`);
}

async function showHealth(address) {
  title('Without root or runc no container can run; what can be shown:');
  command('kata-agent-ctl check');
  said((await client(['--address', address, 'check'])).stdout);
  command('kata-agent-ctl call ExecProcess');
  const refused = await client(['--address', address, 'call', 'ExecProcess', '{}']);
  said(refused.stderr);
  expect(refused.stderr.includes('UNIMPLEMENTED'), 'the exec was not refused');
}

async function showRecord(auditLog) {
  title('The record of it all, verified');
  command(`kata-agent-ctl audit show ${auditLog}`);
  said((await client(['audit', 'show', auditLog])).stdout);
  command(`kata-agent-ctl audit verify ${auditLog}`);
  const verified = await client(['audit', 'verify', auditLog]);
  said(`${verified.stdout}${verified.stderr}`);
  expect(verified.code === 0, 'the record does not verify');
}

const missing = bootstrap('demo');
const isRoot = process.getuid?.() === 0;
const able = isRoot && inPath('runc') && inPath('busybox');
if (!able) {
  console.error(
    isRoot ? missingText(missing) : 'not root: containers need root, so run `sudo npm start` for all of it',
  );
}
const folder = mkdtempSync(join(tmpdir(), 'kata-agent-start-'));
let agent;
try {
  const rootfs = join(folder, 'rootfs');
  const auditLog = join(folder, 'audit', 'audit.log');
  const address = `unix://${join(folder, 'agent.sock')}`;
  const config = makeConfiguration(folder, auditLog);
  if (able) makeRootfs(rootfs);

  title('An agent under examples/start.toml: a pod’s calls and stdio, no exec, no copy');
  command(`kata-agent -c examples/start.toml --server-addr ${address}`);
  const started = await startAgent(config, address, isRoot);
  agent = started.agent;
  said('it listens');

  if (able) await showContainer(address, rootfs);
  else await showHealth(address);

  const over = new Promise((resolve) => agent.once('close', resolve));
  if (agent.exitCode === null) agent.kill('SIGTERM');
  else agent.emit('close');
  await over;
  await showRecord(auditLog);
  console.log(
    `\n${paint('32', 'Done')} in ${((Date.now() - begin) / 1000).toFixed(1)} s, set-up included. Next: README.md, “Where to go next”.`,
  );
} finally {
  agent?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
