import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { clientProgram } from '../harness/repository.js';
import { whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const api = '[agent]\ndebug_console = true\ndebug_console_vport = 1026\n[api]\nallowed_endpoints = ["*"]\n';

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

/** The file system has given its last page to the record already; calls that fail fill what is left of that page. */
async function untilUnavailable(client: AgentConnection['agent']): Promise<string> {
  for (let count = 0; count < 100; count++) {
    const { code, message } = await answerOf(client.pauseContainer({ containerId: 'nobody' }));
    if (code === 'UNAVAILABLE') return message;
    assert.equal(code, 'INVALID_ARGUMENT');
  }
  return assert.fail('a hundred calls were recorded on a full disk');
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
