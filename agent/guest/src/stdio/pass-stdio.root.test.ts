import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { CreateContainer, PassedStdio } from '../request/actions.js';
import { createContainer } from '../perform/containers.js';
import { execProcess } from '../perform/processes.js';
import { RealGuest, settled, skip } from '../testing/real-guest.js';

let real: RealGuest;
let server: Server;
const accepted: ((socket: Socket) => void)[] = [];
const sockets: Socket[] = [];
before(async () => {
  if (skip !== false) return;
  real = await RealGuest.open({ output: { readable: () => mayRead, unreadable: 'discard' } });
  server = createServer({ allowHalfOpen: true }, (socket) => accepted.shift()?.(socket));
  await new Promise<void>((resolve) => {
    server.listen(join(real.directory, 'stdio.sock'), resolve);
  });
});
after(async () => {
  if (skip !== false) return;
  for (const socket of sockets) socket.destroy();
  server.close();
  await real.close();
});

let mayRead = true;

/** A connection: the guest's end and the host's end. */
async function connection(): Promise<readonly [guest: Socket, host: Socket]> {
  const guest = new Promise<Socket>((resolve) => accepted.push(resolve));
  const host = connect({ path: join(real.directory, 'stdio.sock'), allowHalfOpen: true });
  sockets.push(await guest, host);
  return [await guest, host];
}

interface Ends {
  readonly stdio: PassedStdio;
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly stderr: Socket;
}

async function ends(): Promise<Ends> {
  const [[inGuest, stdin], [outGuest, stdout], [errGuest, stderr]] = [
    await connection(),
    await connection(),
    await connection(),
  ];
  const stdio = { stdin: inGuest, stdout: outGuest, stderr: errGuest, admitted: () => mayRead };
  return { stdio, stdin, stdout, stderr };
}

async function all(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const run = (script: string, stdio: PassedStdio, more: Partial<CreateContainer> = {}): Promise<string> =>
  real.run(['sh', '-c', script], { stdio, ...more });

test('stdio passes over connections, with both ends of file', { skip }, async () => {
  const before = real.traces();
  const { stdio, stdin, stdout, stderr } = await ends();
  const id = await run('cat; echo done >&2', stdio);
  const [out, err] = [all(stdout), all(stderr)];
  stdin.end('typed');
  assert.deepEqual([await out, await err, await real.wait(id)], ['typed', 'done\n', 0]);
  await real.remove(id);
  for (const socket of [stdin, stdout, stderr]) socket.destroy();
  await settled();
  assert.deepEqual(real.traces(), before);
});

test('8 MiB are delivered before the exit code', { skip }, async () => {
  const { stdio, stdout } = await ends();
  const id = await run('yes abcdefg | head -c 8388608', stdio);
  const out = all(stdout);
  assert.equal(await real.wait(id), 0);
  assert.equal((await out).length, 8_388_608);
  await real.remove(id);
});

test('a host that disconnects early does not stop the process', { skip }, async () => {
  const { stdio, stdout, stdin } = await ends();
  const id = await run('yes | head -c 8388608; cat; exit 3', stdio);
  stdout.destroy();
  stdin.destroy();
  assert.equal(await real.wait(id), 3);
  await real.remove(id);
});

test('stdio of an exec with a terminal passes over connections', { skip }, async () => {
  const id = await real.run(['sleep', '1000']);
  const { stdio, stdin, stdout } = await ends();
  const process = real.process(['sh', '-c', 'stty -echo; echo ready; read line; echo "got $line"'], {
    terminal: true,
  });
  await execProcess(real.guest, { containerId: id, execId: 'e1', process, stdio });
  const out = all(stdout);
  stdout.once('data', () => stdin.end('words\n'));
  assert.equal(await real.wait(id, 'e1'), 0);
  assert.equal(await out, 'ready\r\ngot words\r\n');
  await real.remove(id);
});

test('connections are closed when the host loses the right to read, and the process continues', {
  skip,
}, async () => {
  const { stdio, stdin, stdout } = await ends();
  const id = await run('echo first; cat > /dev/null; yes | head -c 8388608; exit 4', stdio);
  await new Promise((resolve) => stdout.once('data', resolve));
  const over = all(stdout);
  mayRead = false;
  real.guest.reconsiderOutput();
  assert.equal(await over, '');
  stdin.destroy();
  assert.equal(await real.wait(id), 4);
  mayRead = true;
  await real.remove(id);
});

test('a failed create leaves the connections to the caller', { skip }, async () => {
  const { stdio } = await ends();
  const spec = real.spec([]);
  const action = { id: real.id(), execId: '', spec, storages: [], sandboxPidns: false, stdio };
  await assert.rejects(createContainer(real.guest, action), { kind: 'invalid' });
  assert.equal(stdio.stdout?.destroyed, false);
});
