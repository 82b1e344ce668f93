import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { clientProgram } from '../harness/repository.js';
import { whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const api = '[api]\nallowed_endpoints = ["*"]\n';

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

describe('a full disk under the record (S19)', { skip: whyNoContainers() ?? false }, () => {
  it('refuses calls that change state, goes on with reading ones, and recovers', async () => {
    const agent = await agentWithSmallDisk('refuse-changes');
    try {
      const folder = `/proc/${agent.process.pid}/root/run/small`;
      const { agent: client } = await agent.connect();
      fillDisk(`${folder}/fill`);
      const refused = await answerOf(client.createSandbox({ sandboxId: 's' }));
      assert.equal(refused.code, 'UNAVAILABLE');
      assert.match(refused.message, /audit log cannot be written.*(ENOSPC|no space)/is);
      assert.equal((await answerOf(client.getGuestDetails({}))).code, 'OK');
      rmSync(`${folder}/fill`);
      assert.equal((await answerOf(client.createSandbox({ sandboxId: 's' }))).code, 'OK');
      const verified = spawnSync(process.execPath, [clientProgram, 'audit', 'verify', `${folder}/audit.log`], { encoding: 'utf8' });
      assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    } finally {
      await agent.dispose();
    }
  });

  it('refuses every call when so configured', async () => {
    const agent = await agentWithSmallDisk('refuse-all');
    try {
      const { agent: client, health } = await agent.connect();
      fillDisk(`/proc/${agent.process.pid}/root/run/small/fill`);
      assert.equal((await answerOf(client.createSandbox({ sandboxId: 's' }))).code, 'UNAVAILABLE');
      assert.equal((await answerOf(client.getGuestDetails({}))).code, 'UNAVAILABLE');
      assert.equal((await answerOf(health.check({}))).code, 'OK', 'Health says nothing and changes nothing');
    } finally {
      await agent.dispose();
    }
  });
});
