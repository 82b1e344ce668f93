import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { clientProgram } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const api = '[agent]\ndebug_console = true\ndebug_console_vport = 1026\n[api]\nallowed_endpoints = ["*"]\n';

const shared = '/run/kata-containers/shared/containers';

interface Written {
  readonly sequence: number;
  readonly kind: string;
  readonly method?: string;
  readonly intent?: number;
  readonly result?: { readonly code: string };
}

function parse(line: string): Written {
  return JSON.parse(line) as Written;
}

/** Starts an agent whose record lies on a file system of 256 KiB. */
function agentWithSmallDisk(onFailure: string): Promise<AgentProcess> {
  return AgentProcess.start({
    config: `${api}[audit]\nfile = "/run/small/audit.log"\non_failure = "${onFailure}"\n`,
    setup: 'mkdir /run/small && mount -t tmpfs -o size=256k small /run/small',
  });
}

/** Fills the file system to its last byte; a write of a full tmpfs fails with ENOSPC. */
function fillDisk(path: string): void {
  try {
    writeFileSync(path, Buffer.alloc(1 << 20));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  }
}

/**
 * Some space is allocated to the record beforehand: calls that change something use it up, but for what is reserved for
 * those that end something.
 */
async function untilUnavailable(client: AgentConnection['agent']): Promise<string> {
  const copy = { path: `${shared}/file`, fileSize: 1n, fileMode: 0o100644, data: Buffer.from('x') };
  for (let count = 0; count < 1000; count++) {
    const { code, message } = await answerOf(client.copyFile(copy));
    if (code === 'UNAVAILABLE') return message;
    assert.equal(code, 'OK', message);
  }
  return assert.fail('a thousand calls were recorded on a full disk');
}

describe('a full disk under the record (S19)', { skip: whyNoContainers() ?? false }, () => {
  it('refuses calls that change state, goes on with reading ones, and recovers', async () => {
    const agent = await agentWithSmallDisk('refuse-changes');
    try {
      const folder = `/proc/${agent.process.pid}/root/run/small`;
      const { agent: client } = await agent.connect();
      fillDisk(`${folder}/fill`);
      assert.match(await untilUnavailable(client), /audit log cannot be written.*(ENOSPC|no space)/is);
      assert.equal((await answerOf(client.createSandbox({ sandboxId: 's' }))).code, 'UNAVAILABLE');
      assert.equal((await answerOf(client.getGuestDetails({}))).code, 'OK');
      rmSync(`${folder}/fill`);
      assert.equal((await answerOf(client.createSandbox({ sandboxId: 's' }))).code, 'OK');
      const verified = spawnSync(
        process.execPath,
        [clientProgram, 'audit', 'verify', `${folder}/audit.log`],
        { encoding: 'utf8' },
      );
      assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    } finally {
      await agent.dispose();
    }
  });

  for (const onFailure of ['refuse-changes', 'refuse-all']) {
    it(`a container is killed and removed, and the sandbox destroyed, with on_failure = "${onFailure}"`, async () => {
      const agent = await agentWithSmallDisk(onFailure);
      const kept = mkdtempSync(join(tmpdir(), 'kata-small-'));
      try {
        const folder = `/proc/${agent.process.pid}/root/run/small`;
        const { agent: client } = await agent.connect();
        await client.createSandbox({ sandboxId: 's' });
        const rootfs = makeRootfs(agent.folder);
        for (const id of ['one', 'two']) {
          await client.createContainer(containerRequest({ id, rootfs, args: ['sleep', '1000'] }));
          await client.startContainer({ containerId: id });
        }
        fillDisk(`${folder}/fill`);
        await untilUnavailable(client);
        const change = answerOf(client.pauseContainer({ containerId: 'two' }));
        assert.equal((await change).code, 'UNAVAILABLE', 'what ends nothing is refused');
        await client.signalProcess({ containerId: 'one', execId: 'one', signal: 9 });
        await client.removeContainer({ containerId: 'one' });
        const log = openSync(`${folder}/audit.log`, 'r');
        await client.destroySandbox({});
        await agent.exited;
        writeFileSync(join(kept, 'audit.log'), readFileSync(log));
        closeSync(log);
        const args = [clientProgram, 'audit', 'verify', join(kept, 'audit.log')];
        const verified = spawnSync(process.execPath, args, { encoding: 'utf8' });
        assert.equal(verified.status, 0, verified.stdout + verified.stderr);
        const records = readFileSync(join(kept, 'audit.log'), 'utf8').trimEnd().split('\n').map(parse);
        for (const method of ['SignalProcess', 'RemoveContainer', 'DestroySandbox']) {
          const intent = records.findLast((record) => record.kind === 'intent' && record.method === method);
          const outcome = records.find(({ intent: of }) => of === intent?.sequence && of !== undefined);
          assert.equal(outcome?.result?.code, 'OK', method);
        }
        assert.ok(!records.some(({ kind, method }) => kind === 'intent' && method === 'PauseContainer'));
      } finally {
        rmSync(kept, { recursive: true });
        await agent.dispose();
      }
    });
  }

  it('gives nobody a shell', async () => {
    const agent = await agentWithSmallDisk('refuse-changes');
    try {
      const { agent: client } = await agent.connect();
      fillDisk(`/proc/${agent.process.pid}/root/run/small/fill`);
      await untilUnavailable(client);
      const socket = connect(`${agent.socketPath}_1026`);
      assert.equal(await text(socket), '');
      await agent.stop();
      assert.ok(agent.log.some((line) => /debug console.*door: a connection is closed/.test(line)));
      assert.ok(!agent.log.some((line) => line.includes('a shell was started')));
    } finally {
      await agent.dispose();
    }
  });

  it('refuses every call when so configured', async () => {
    const agent = await agentWithSmallDisk('refuse-all');
    try {
      const { agent: client, health } = await agent.connect();
      fillDisk(`/proc/${agent.process.pid}/root/run/small/fill`);
      await untilUnavailable(client);
      assert.equal((await answerOf(client.getGuestDetails({}))).code, 'UNAVAILABLE');
      assert.equal((await answerOf(health.check({}))).code, 'OK', 'Health says nothing and changes nothing');
    } finally {
      await agent.dispose();
    }
  });
});
