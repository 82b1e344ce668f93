import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const sideChannel = '[agent]\npassfd_listener_port = 1027\n';
const open = '[api]\nallowed_endpoints = ["*"]\nrelease = "3.21"\n';

async function readToEnd(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString();
  return text;
}

describe('stdio ports (S22)', { skip: whyNoContainers() ?? false, timeout: 120_000 }, () => {
  let directory = '';
  let rootfs = '';
  let count = 0;
  const nextId = () => `sp${++count}-${process.pid}`;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-ports-'));
    rootfs = makeRootfs(directory);
  });
  after(() => rmSync(directory, { recursive: true }));

  async function withAgent(
    config: string,
    work: (client: AgentConnection['agent'], dial: (port: number) => Promise<Socket>) => Promise<void>,
  ): Promise<void> {
    const agent = await AgentProcess.start({ config });
    const sockets: Socket[] = [];
    try {
      const { agent: client } = await agent.connect();
      await client.createSandbox({ sandboxId: 'pod' });
      await work(client, async (port) => {
        const socket = connect({ path: `${agent.socketPath}_1027`, allowHalfOpen: true });
        sockets.push(socket);
        await once(socket, 'connect');
        socket.write(`${port}\n`);
        return socket;
      });
    } finally {
      for (const socket of sockets) socket.destroy();
      await agent.dispose();
    }
  }

  it('the streams of a container and of an exec pass over their ports', async () => {
    await withAgent(sideChannel + open, async (client, dial) => {
      const containerId = nextId();
      const [stdin, stdout, stderr] = [await dial(501), await dial(502), await dial(503)];
      const args = ['sh', '-c', 'cat; echo over >&2; read line; exit 5'];
      await client.createContainer({
        ...containerRequest({ id: containerId, rootfs, args }),
        stdinPort: 501,
        stdoutPort: 502,
        stderrPort: 503,
      });
      await client.startContainer({ containerId });
      const execOut = await dial(601);
      const exec = processRequest(['echo', 'of the exec']);
      await client.execProcess({ containerId, execId: 'e1', process: exec, stdoutPort: 601 });
      assert.equal(await readToEnd(execOut), 'of the exec\n');
      // A process without ports.
      await client.execProcess({ containerId, execId: 'e2', process: processRequest(['cat']) });
      await client.writeStdin({ containerId, execId: 'e2', data: Buffer.from('by calls') });
      await client.closeStdin({ containerId, execId: 'e2' });
      assert.equal((await readAll(client, 'stdout', containerId, 'e2')).toString(), 'by calls');
      stdin.end('typed');
      assert.deepEqual([await readToEnd(stdout), await readToEnd(stderr)], ['typed', 'over\n']);
      assert.equal((await client.waitProcess({ containerId, execId: '' })).status, 5);
      await client.removeContainer({ containerId });
    });
  });

  it('a call without a connection for each port fails, and connections of a failed call are closed', async () => {
    await withAgent(sideChannel + open, async (client, dial) => {
      const id = nextId();
      const request = containerRequest({ id, rootfs, args: ['true'] });
      const stdout = await dial(502);
      const missing = await answerOf(
        client.createContainer({ ...request, stdoutPort: 502, stderrPort: 999 }),
      );
      assert.equal(missing.code, 'FAILED_PRECONDITION');
      assert.match(missing.message, /no connection from port 999/);
      assert.equal(await readToEnd(stdout), '');
      const twice = await answerOf(client.createContainer({ ...request, stdoutPort: 502, stderrPort: 502 }));
      assert.equal(twice.code, 'INVALID_ARGUMENT');
      const again = await dial(503);
      const failed = await answerOf(
        client.createContainer({
          ...containerRequest({ id, rootfs, args: [] }),
          stdoutPort: 503,
        }),
      );
      assert.equal(failed.code, 'INVALID_ARGUMENT');
      assert.equal(await readToEnd(again), '');
    });
  });

  it('ports are denied if the stream calls are denied or the side channel is not configured', async () => {
    const ports = { ...containerRequest({ id: nextId(), rootfs, args: ['true'] }), stdoutPort: 502 };
    for (const method of ['ReadStdout', 'ReadStderr', 'WriteStdin'])
      await withAgent(`${sideChannel}[api]\nblocked_endpoints = ["${method}"]\n`, async (client) => {
        const { code, message } = await answerOf(client.createContainer(ports));
        assert.equal(code, 'PERMISSION_DENIED', method);
        assert.match(message, new RegExp(`${method} is not served here`));
      });
    await withAgent(open, async (client) => {
      const { code, message } = await answerOf(client.createContainer(ports));
      assert.equal(code, 'FAILED_PRECONDITION');
      assert.match(message, /passfd_listener_port/);
    });
  });

  it('SetPolicy that denies reads ends the stream, and the container continues', async () => {
    await withAgent(sideChannel + open, async (client, dial) => {
      const containerId = nextId();
      const [stdin, stdout] = [await dial(501), await dial(502)];
      const args = ['sh', '-c', 'echo first; cat > /dev/null; yes | head -c 8388608; exit 6'];
      await client.createContainer({
        ...containerRequest({ id: containerId, rootfs, args }),
        stdinPort: 501,
        stdoutPort: 502,
      });
      await client.startContainer({ containerId });
      const [first] = (await once(stdout, 'data')) as [Buffer];
      assert.equal(first.toString(), 'first\n');
      const rest = readToEnd(stdout);
      await client.setPolicy({ policy: '[api]\nblocked_endpoints = ["ReadStdout"]\n' });
      assert.equal(await rest, '');
      stdin.destroy();
      assert.equal((await client.waitProcess({ containerId, execId: '' })).status, 6);
      await client.removeContainer({ containerId });
    });
  });
});
