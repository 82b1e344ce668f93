import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll, readUntil } from '../harness/container-client.js';
import { noisyExit, startNoisy } from '../harness/noisy-container.js';
import { containerRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const open = '[api]\nallowed_endpoints = ["*"]\nrelease = "3.21"\n';

/** Returns a rule for these endpoints. */
const rule = (endpoints: readonly string[], expression: string, more = '') =>
  `[[api.rule]]\nname = "reads-${endpoints.length}"\nendpoints = ${JSON.stringify(endpoints)}\nexpression = '${expression}'\n${more}`;

const bothReads = ['ReadStdout', 'ReadStderr'];

/** Limits a workload that hangs, in milliseconds. */
const timeout = 240_000;

describe('denied output reads (R15, S5)', {
  skip: whyNoContainers() ?? false,
  timeout,
}, () => {
  let directory = '';
  let rootfs = '';
  let count = 0;
  const agents: AgentProcess[] = [];
  const nextId = () => `dr${++count}-${process.pid}`;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-reads-'));
    rootfs = makeRootfs(directory);
  });
  after(async () => {
    for (const agent of agents) await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  /** Calls a function with an agent that has a configuration and a sandbox. */
  async function withAgent(
    config: string,
    work: (client: AgentConnection['agent'], agent: AgentProcess) => Promise<void>,
  ): Promise<void> {
    const agent = await AgentProcess.start({ config });
    agents.push(agent);
    try {
      const { agent: client } = await agent.connect();
      await client.createSandbox({ sandboxId: 'pod' });
      await work(client, agent);
    } finally {
      await agent.dispose();
    }
  }

  async function exitCode(client: AgentConnection['agent'], containerId: string): Promise<number> {
    const { status } = await client.waitProcess({ containerId, execId: '' });
    return status;
  }

  for (const [name, config] of [
    ['the gate denies', '[api]\nblocked_endpoints = ["ReadStdout", "ReadStderr"]\n'],
    ['a rule denies', open + rule(bothReads, 'false')],
    ['a failing rule denies', open + rule(bothReads, '[true][int(request.len)]')],
  ] as const) {
    it(`a workload is not blocked if ${name} reads of both streams`, async () => {
      await withAgent(config, async (client) => {
        const id = nextId();
        await startNoisy(client, { id, rootfs, stream: 'both' });
        assert.equal(await exitCode(client, id), noisyExit);
      });
    });
  }

  for (const denied of ['stdout', 'stderr'] as const) {
    const allowed = denied === 'stdout' ? 'stderr' : 'stdout';
    const method = denied === 'stdout' ? 'ReadStdout' : 'ReadStderr';
    for (const [by, config] of [
      ['the gate', `[api]\nblocked_endpoints = ["${method}"]\n`],
      ['a rule', open + rule([method], 'false')],
    ] as const) {
      it(`${allowed} is read completely if only ${denied} is denied by ${by}`, async () => {
        await withAgent(config, async (client) => {
          const id = nextId();
          await startNoisy(client, { id, rootfs, stream: 'both' });
          const read = await readAll(client, allowed, id);
          assert.equal(read.length, 5_000_000);
          assert.equal(await exitCode(client, id), noisyExit);
        });
      });
    }
  }

  it('a workload is not blocked if a rule allows reads of other processes only', async () => {
    await withAgent(open + rule(bothReads, 'request.exec_id == "open"'), async (client) => {
      const id = nextId();
      await startNoisy(client, { id, rootfs });
      const denied = await answerOf(client.readStdout({ containerId: id, execId: id, len: 10 }));
      assert.equal(denied.code, 'PERMISSION_DENIED');
      assert.equal(await exitCode(client, id), noisyExit);
    });
  });

  it('a workload on a terminal is not blocked if a rule denies reads', async () => {
    await withAgent(open + rule(bothReads, 'false'), async (client) => {
      const id = nextId();
      await startNoisy(client, { id, rootfs, terminal: true });
      assert.equal(await exitCode(client, id), noisyExit);
    });
  });

  it('a workload on a full buffer continues when SetPolicy denies reads', async () => {
    for (const policy of [
      '[api]\nblocked_endpoints = ["ReadStdout", "ReadStderr"]\n',
      `[api]\n${rule(bothReads, 'false')}`,
    ]) {
      await withAgent(open, async (client) => {
        const id = nextId();
        const script = 'trap "exit 0" TERM; yes | head -c 5000000 & wait $!; exit 4';
        await client.createContainer(containerRequest({ id, rootfs, args: ['sh', '-c', script] }));
        await client.startContainer({ containerId: id });
        await readUntil(client, id, 'y\n'.repeat(100));
        await settle(client, id);
        await client.setPolicy({ policy });
        assert.equal(await exitCode(client, id), noisyExit);
      });
    }
  });

  it('a workload on a full buffer continues when a rule denies its last reader', async () => {
    await withAgent(open + rule(bothReads, 'size(sandbox.containers) == 1'), async (client) => {
      const [id, other] = [nextId(), nextId()];
      await startNoisy(client, { id, rootfs });
      await readUntil(client, id, 'y\n'.repeat(100));
      await settle(client, id);
      await client.createContainer(containerRequest({ id: other, rootfs, args: ['true'] }));
      const read = await answerOf(client.readStdout({ containerId: id, execId: '', len: 10 }));
      assert.equal(read.code, 'PERMISSION_DENIED');
      assert.equal(await exitCode(client, id), noisyExit);
    });
  });

  /** Starts a workload that writes while a read waits, pauses, reads the rest and returns the number of bytes. */
  async function readWithPause(client: AgentConnection['agent'], len: number, meanwhile = async () => {}) {
    const id = nextId();
    const args = ['sh', '-c', 'read x; yes | head -c 5000000'];
    await client.createContainer(containerRequest({ id, rootfs, args }));
    await client.startContainer({ containerId: id });
    const read = () => client.readStdout({ containerId: id, execId: '', len });
    const first = read();
    await client.writeStdin({ containerId: id, execId: '', data: Buffer.from('go\n') });
    let received = (await first).data.length;
    await settle(client, id);
    await meanwhile();
    for (let reply = await read(); reply.data.length > 0; reply = await read()) received += reply.data.length;
    assert.equal(await exitCode(client, id), 0);
    return received;
  }

  it('output is kept if a rule allows only reads of one length', async () => {
    const len = 16_384;
    await withAgent(open + rule(bothReads, `request.len == ${len}u`), async (client) => {
      assert.equal(await readWithPause(client, len), 5_000_000);
    });
  });

  it('output for an allowed peer is not discarded when another peer is denied', async () => {
    const listener = `[[listener]]
name = "both"
address = "vsock://-1:1024"
peers = ["host", "uid:4242"]
`;
    const config = `[api]\nallowed_endpoints = ["*"]\nrelease = "3.21"\n${listener}${rule(bothReads, 'peer.uid == 0u')}`;
    await withAgent(config, async (client, agent) => {
      const { agent: otherPeer } = await agent.connect({ uid: 4242 });
      const id = () => `dr${count}-${process.pid}`;
      const received = await readWithPause(client, 32_768, async () => {
        for (let times = 0; times < 100; times += 1) {
          const denied = await answerOf(otherPeer.readStdout({ containerId: id(), execId: '', len: 10 }));
          assert.equal(denied.code, 'PERMISSION_DENIED');
        }
      });
      assert.equal(received, 5_000_000);
    });
  });

  it('output that one listener serves is not discarded when reads at another are denied (S5)', async () => {
    const config = `[api]\nrelease = "3.21"\n[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\nallowed_endpoints = ["@pod"]\non_denied_read = "eof"\n[[listener]]\nname = "tenant"\naddress = "vsock://-1:1025"\nallowed_endpoints = ["@logs"]\n`;
    await withAgent(config, async (host, agent) => {
      const id = nextId();
      await startNoisy(host, { id, rootfs, stream: 'both' });
      const request = { containerId: id, execId: '', len: 32_768 };
      assert.equal((await host.readStdout(request)).data.length, 0);
      assert.equal((await host.readStderr(request)).data.length, 0);
      const { agent: tenant } = await agent.connect({ port: 1025 });
      const readAll = async (read: typeof tenant.readStdout): Promise<number> => {
        let length = 0;
        for (let reply = await read(request); reply.data.length > 0; reply = await read(request)) {
          length += reply.data.length;
          assert.equal((await host.readStdout(request)).data.length, 0);
        }
        return length;
      };
      const [out, err] = await Promise.all([readAll(tenant.readStdout), readAll(tenant.readStderr)]);
      assert.ok(out >= 1_000_000 && err >= 1_000_000, `${out} and ${err} bytes`);
      assert.equal(await exitCode(host, id), noisyExit);
      assert.equal((await answerOf(tenant.removeContainer({ containerId: id }))).code, 'UNIMPLEMENTED');
    });
  });

  it('on_denied_read of a rule selects end of file or an error', async () => {
    const eof = rule(['ReadStdout'], 'false', 'on_denied_read = "eof"\n');
    const error = eof
      .replace('reads-1', 'other')
      .replace('ReadStdout', 'ReadStderr')
      .replace('"eof"', '"error"');
    const config = open.replace('release', 'on_denied_read = "eof"\nrelease') + eof + error;
    await withAgent(config, async (client) => {
      const id = nextId();
      await startNoisy(client, { id, rootfs, stream: 'both' });
      const request = { containerId: id, execId: '', len: 10 };
      assert.equal((await client.readStdout(request)).data.length, 0);
      assert.equal((await answerOf(client.readStderr(request))).code, 'PERMISSION_DENIED');
      assert.equal(await exitCode(client, id), noisyExit);
    });
  });

  it('denied_output keeps the last output in a bounded file of the guest', async () => {
    const config = `${open.replace('release', 'denied_output = "4KiB"\nrelease')}${rule(bothReads, 'false')}`;
    await withAgent(config, async (client, agent) => {
      const id = nextId();
      const script = 'yes | head -c 3000000; echo the end';
      await client.createContainer(containerRequest({ id, rootfs, args: ['sh', '-c', script] }));
      await client.startContainer({ containerId: id });
      assert.equal(await exitCode(client, id), 0);
      const logs = `/proc/${agent.process.pid}/root/run/kata-agent/output`;
      while (!text(logs, id).endsWith('the end\n')) await settle(client, id);
      const kept = readdirSync(logs).map((name) => readFileSync(join(logs, name)).length);
      assert.ok(kept.reduce((sum, length) => sum + length, 0) <= 4096);
      await client.removeContainer({ containerId: id });
      assert.deepEqual(readdirSync(logs), []);
    });
  });

  /** What the file holds; nothing before the first byte, and while the agent has renamed it and not yet created the next. */
  function text(logs: string, id: string): string {
    try {
      return readFileSync(join(logs, `${id}-${id}.stdout`), 'utf8');
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
      return '';
    }
  }

  /** Lets the agent handle earlier events: it answers 200 calls after them. */
  async function settle(client: AgentConnection['agent'], id: string): Promise<void> {
    for (let times = 0; times < 200; times += 1) await client.statsContainer({ containerId: id });
  }
});
