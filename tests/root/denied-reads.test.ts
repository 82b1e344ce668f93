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

/** A rule on reads. */
const rule = (endpoints: readonly string[], expression: string, more = '') =>
  `[[api.rule]]\nname = "reads-${endpoints.length}"\nendpoints = ${JSON.stringify(endpoints)}\nexpression = '${expression}'\n${more}`;

const bothReads = ['ReadStdout', 'ReadStderr'];

/** A workload that hangs must not hang the tests, in milliseconds. */
const timeout = 240_000;

describe('reads that are refused never stop a workload (R15, S5)', {
  skip: whyNoContainers() ?? false,
  timeout,
}, () => {
  let folder = '';
  let rootfs = '';
  let count = 0;
  const agents: AgentProcess[] = [];
  const nextId = () => `dr${++count}-${process.pid}`;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-reads-'));
    rootfs = makeRootfs(folder);
  });
  after(async () => {
    for (const agent of agents) await agent.dispose();
    rmSync(folder, { recursive: true });
  });

  /** An agent under a configuration, with a sandbox. */
  async function under(
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

  async function ended(client: AgentConnection['agent'], containerId: string): Promise<number> {
    const { status } = await client.waitProcess({ containerId, execId: '' });
    return status;
  }

  for (const [name, config] of [
    ['the lists refuse', '[api]\nblocked_endpoints = ["ReadStdout", "ReadStderr"]\n'],
    ['a rule refuses', open + rule(bothReads, 'false')],
    ['a rule that fails refuses', open + rule(bothReads, '[true][int(request.len)]')],
  ] as const) {
    it(`when ${name} both streams and nobody even asks`, async () => {
      await under(config, async (client) => {
        const id = nextId();
        await startNoisy(client, { id, rootfs, stream: 'both' });
        assert.equal(await ended(client, id), noisyExit);
      });
    });
  }

  for (const refused of ['stdout', 'stderr'] as const) {
    const served = refused === 'stdout' ? 'stderr' : 'stdout';
    const method = refused === 'stdout' ? 'ReadStdout' : 'ReadStderr';
    for (const [by, config] of [
      ['the lists', `[api]\nblocked_endpoints = ["${method}"]\n`],
      ['a rule', open + rule([method], 'false')],
    ] as const) {
      it(`when only ${refused} is refused by ${by}: ${served} comes whole`, async () => {
        await under(config, async (client) => {
          const id = nextId();
          await startNoisy(client, { id, rootfs, stream: 'both' });
          const read = await readAll(client, served, id);
          assert.equal(read.length, 5_000_000);
          assert.equal(await ended(client, id), noisyExit);
        });
      });
    }
  }

  it('when a rule refuses some processes and lets others be read', async () => {
    await under(open + rule(bothReads, 'request.exec_id == "open"'), async (client) => {
      const id = nextId();
      await startNoisy(client, { id, rootfs });
      const refused = await answerOf(client.readStdout({ containerId: id, execId: id, len: 10 }));
      assert.equal(refused.code, 'PERMISSION_DENIED');
      assert.equal(await ended(client, id), noisyExit);
    });
  });

  it('when a terminal may not be read', async () => {
    await under(open + rule(bothReads, 'false'), async (client) => {
      const id = nextId();
      await startNoisy(client, { id, rootfs, terminal: true });
      assert.equal(await ended(client, id), noisyExit);
    });
  });

  it('when a policy closes the reads after the buffer was full', async () => {
    for (const policy of [
      '[api]\nblocked_endpoints = ["ReadStdout", "ReadStderr"]\n',
      `[api]\n${rule(bothReads, 'false')}`,
    ]) {
      await under(open, async (client) => {
        const id = nextId();
        const script = 'trap "exit 0" TERM; yes | head -c 5000000 & wait $!; exit 4';
        await client.createContainer(containerRequest({ id, rootfs, args: ['sh', '-c', script] }));
        await client.startContainer({ containerId: id });
        await readUntil(client, id, 'y\n'.repeat(100));
        await idle(client, id);
        await client.setPolicy({ policy });
        assert.equal(await ended(client, id), noisyExit);
      });
    }
  });

  it('when the last who might have read is refused after the buffer was full', async () => {
    await under(open + rule(bothReads, 'size(sandbox.containers) == 1'), async (client) => {
      const [id, other] = [nextId(), nextId()];
      await startNoisy(client, { id, rootfs });
      await readUntil(client, id, 'y\n'.repeat(100));
      await idle(client, id);
      await client.createContainer(containerRequest({ id: other, rootfs, args: ['true'] }));
      const read = await answerOf(client.readStdout({ containerId: id, execId: '', len: 10 }));
      assert.equal(read.code, 'PERMISSION_DENIED');
      assert.equal(await ended(client, id), noisyExit);
    });
  });

  /** Starts a workload that writes only once somebody reads, and answers how much one reader gets. */
  async function readWhole(client: AgentConnection['agent'], len: number, meanwhile = async () => {}) {
    const id = nextId();
    const args = ['sh', '-c', 'read x; yes | head -c 5000000'];
    await client.createContainer(containerRequest({ id, rootfs, args }));
    await client.startContainer({ containerId: id });
    const read = () => client.readStdout({ containerId: id, execId: '', len });
    const first = read();
    await client.writeStdin({ containerId: id, execId: '', data: Buffer.from('go\n') });
    let received = (await first).data.length;
    await idle(client, id);
    await meanwhile();
    for (let reply = await read(); reply.data.length > 0; reply = await read()) received += reply.data.length;
    assert.equal(await ended(client, id), 0);
    return received;
  }

  it('but what a reader was let through to waits for him, though a usual read would be refused', async () => {
    const len = 16_384;
    await under(open + rule(bothReads, `request.len == ${len}u`), async (client) => {
      assert.equal(await readWhole(client, len), 5_000_000);
    });
  });

  it('and what one reader may have, another’s refusals do not throw away', async () => {
    const listener = `[[listener]]
name = "both"
address = "vsock://-1:1024"
peers = ["host", "uid:4242"]
`;
    const config = `[api]\nallowed_endpoints = ["*"]\nrelease = "3.21"\n${listener}${rule(bothReads, 'peer.uid == 0u')}`;
    await under(config, async (client, agent) => {
      const { agent: stranger } = await agent.connect({ uid: 4242 });
      const id = () => `dr${count}-${process.pid}`;
      const received = await readWhole(client, 32_768, async () => {
        for (let times = 0; times < 100; times += 1) {
          const refused = await answerOf(stranger.readStdout({ containerId: id(), execId: '', len: 10 }));
          assert.equal(refused.code, 'PERMISSION_DENIED');
        }
      });
      assert.equal(received, 5_000_000);
    });
  });

  it('answers the end of file where the rule says so, and an error where it does not', async () => {
    const eof = rule(['ReadStdout'], 'false', 'on_denied_read = "eof"\n');
    const error = eof
      .replace('reads-1', 'other')
      .replace('ReadStdout', 'ReadStderr')
      .replace('"eof"', '"error"');
    const config = open.replace('release', 'on_denied_read = "eof"\nrelease') + eof + error;
    await under(config, async (client) => {
      const id = nextId();
      await startNoisy(client, { id, rootfs, stream: 'both' });
      const request = { containerId: id, execId: '', len: 10 };
      assert.equal((await client.readStdout(request)).data.length, 0);
      assert.equal((await answerOf(client.readStderr(request))).code, 'PERMISSION_DENIED');
      assert.equal(await ended(client, id), noisyExit);
    });
  });

  it('keeps the end of it in a bounded log of the guest, when denied_output asks for one', async () => {
    const config = `${open.replace('release', 'denied_output = "4KiB"\nrelease')}${rule(bothReads, 'false')}`;
    await under(config, async (client, agent) => {
      const id = nextId();
      const script = 'yes | head -c 3000000; echo the end';
      await client.createContainer(containerRequest({ id, rootfs, args: ['sh', '-c', script] }));
      await client.startContainer({ containerId: id });
      assert.equal(await ended(client, id), 0);
      const logs = `/proc/${agent.process.pid}/root/run/kata-agent/output`;
      const file = () => readdirSync(logs).filter((name) => name === `${id}-${id}.stdout`);
      while (file().length === 0 || !text(logs, id).endsWith('the end\n')) await idle(client, id);
      const kept = readdirSync(logs).map((name) => readFileSync(join(logs, name)).length);
      assert.ok(kept.reduce((sum, length) => sum + length, 0) <= 4096);
      await client.removeContainer({ containerId: id });
      assert.deepEqual(readdirSync(logs), []);
    });
  });

  function text(logs: string, id: string): string {
    return readFileSync(join(logs, `${id}-${id}.stdout`), 'utf8');
  }

  /** Lets the agent do what it has to do: it answers in order of arrival, and not before. */
  async function idle(client: AgentConnection['agent'], id: string): Promise<void> {
    for (let times = 0; times < 200; times += 1) await client.statsContainer({ containerId: id });
  }
});
