// A program of root/lost-peer.test: runs in a network namespace of its own, and makes another one, whose end of a link goes down.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { limitUnacknowledged, loadSyscalls } from '@kata-agent/linux';

const port = 4000;
const echo = `require('node:net').createServer((socket) => socket.pipe(socket)).listen(${port}, '10.0.0.2', () => console.log('ready'))`;

function run(...[command = '', ...rest]: readonly string[]): void {
  const { status, stderr } = spawnSync(command, rest, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${rest.join(' ')}: ${stderr}`);
}

async function started(command: string, ...rest: readonly string[]): Promise<ChildProcess> {
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

async function connected(): Promise<Socket> {
  const socket = connect(port, '10.0.0.2');
  socket.on('error', () => undefined).setKeepAlive(true, 30_000);
  socket.write('x');
  await once(socket, 'data');
  return socket;
}

const namespace = await started('unshare', '--net', 'sh', '-c', 'echo ready; exec sleep 1000');
const inside = ['nsenter', '--net', '--target', String(namespace.pid)];
run('ip', 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far', 'netns', String(namespace.pid));
run('ip', 'address', 'add', '10.0.0.1/24', 'dev', 'near');
run('ip', 'link', 'set', 'near', 'up');
run(...inside, 'ip', 'address', 'add', '10.0.0.2/24', 'dev', 'far');
run(...inside, 'ip', 'link', 'set', 'far', 'up');
await started('nsenter', ...inside.slice(1), process.execPath, '-e', echo);

const [limited, other] = [await connected(), await connected()];
limitUnacknowledged(loadSyscalls(), limited, Number(process.argv[2]));
run(...inside, 'ip', 'link', 'set', 'far', 'down');
const begin = performance.now();
for (const socket of [limited, other]) socket.write('y');
const [error] = (await once(limited, 'error')) as [NodeJS.ErrnoException];
console.log(
  JSON.stringify({
    code: error.code,
    ms: performance.now() - begin,
    other: other.destroyed ? 'closed' : 'open',
  }),
);
process.exit();
