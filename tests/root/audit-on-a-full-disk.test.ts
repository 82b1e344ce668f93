import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { ctlProgram } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const api = '[agent]\ndebug_console = true\ndebug_console_vport = 1026\n[api]\nallowed_endpoints = ["*"]\n';

const shared = '/run/kata-containers/shared/containers';

interface AuditRecord {
  readonly sequence: number;
  readonly kind: string;
  readonly method?: string;
  readonly intent?: number;
  readonly result?: { readonly code: string };
}

function parse(line: string): AuditRecord {
  return JSON.parse(line) as AuditRecord;
}

/** Starts an agent whose audit log is on a file system of 256 KiB. */
function agentWithSmallDisk(onFailure: string): Promise<AgentProcess> {
  return AgentProcess.start({
    config: `${api}[audit]\nfile = "/run/small/audit.log"\non_failure = "${onFailure}"\n`,
    setup: 'mkdir /run/small && mount -t tmpfs -o size=256k small /run/small',
  });
}

/** Reports whether a connection to the debug console gets a shell; without one it is closed without data. */
async function givesShell(path: string): Promise<boolean> {
  const socket = connect(path);
  const [prompt] = await Promise.race([once(socket, 'data'), once(socket, 'end')]);
  socket.destroy();
  return prompt !== undefined;
}

/** Fills the file system to its last byte: a write to a full tmpfs fails with ENOSPC. */
function fillDisk(path: string): void {
  try {
    writeFileSync(path, Buffer.alloc(1 << 20));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  }
}

/**
 * Calls CopyFile, then ReseedRandomDev, whose record is short, until each is denied four times in a row, and returns the error. The log allocates space in advance; calls that change state
 * use it up, except the part that is reserved for calls that end something.
 */
async function copyUntilUnavailable(client: AgentConnection['agent']): Promise<string> {
  const copy = { path: `${shared}/file`, fileSize: 1n, fileMode: 0o100644, data: Buffer.from('x') };
  await untilUnavailable(() => client.copyFile(copy));
  return await untilUnavailable(() => client.reseedRandomDev({ data: Buffer.from('x') }));
}

async function untilUnavailable(call: () => Promise<unknown>): Promise<string> {
  // After the first denial the last page may have space for another record.
  let denials = 0;
  for (let count = 0; count < 1000; count++) {
    const { code, message } = await answerOf(call());
    denials = code === 'UNAVAILABLE' ? denials + 1 : 0;
    if (denials === 4) return message;
    if (denials === 0) assert.equal(code, 'OK', message);
  }
  return assert.fail('a thousand calls were recorded on a full disk');
}

describe('the audit log on a full disk (S19)', { skip: whyNoContainers() ?? false }, () => {
  it('refuse-changes denies calls that change state, allows reading ones, and recovers', async () => {
    const agent = await agentWithSmallDisk('refuse-changes');
    try {
      const directory = `/proc/${agent.process.pid}/root/run/small`;
      const { agent: client } = await agent.connect();
      fillDisk(`${directory}/fill`);
      assert.match(await copyUntilUnavailable(client), /audit log cannot be written.*(ENOSPC|no space)/is);
      assert.equal((await answerOf(client.createSandbox({ sandboxId: 's' }))).code, 'UNAVAILABLE');
      assert.equal((await answerOf(client.getGuestDetails({}))).code, 'OK');
      rmSync(`${directory}/fill`);
      assert.equal((await answerOf(client.createSandbox({ sandboxId: 's' }))).code, 'OK');
      const verified = spawnSync(
        process.execPath,
        [ctlProgram, 'audit', 'verify', `${directory}/audit.log`],
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
        const directory = `/proc/${agent.process.pid}/root/run/small`;
        const { agent: client } = await agent.connect();
        await client.createSandbox({ sandboxId: 's' });
        const rootfs = makeRootfs(agent.directory);
        for (const id of ['one', 'two']) {
          await client.createContainer(containerRequest({ id, rootfs, args: ['sleep', '1000'] }));
          await client.startContainer({ containerId: id });
        }
        fillDisk(`${directory}/fill`);
        await copyUntilUnavailable(client);
        const change = answerOf(client.pauseContainer({ containerId: 'two' }));
        assert.equal((await change).code, 'UNAVAILABLE', 'a call that ends nothing is denied');
        await client.signalProcess({ containerId: 'one', execId: 'one', signal: 9 });
        await client.removeContainer({ containerId: 'one' });
        const log = openSync(`${directory}/audit.log`, 'r');
        await client.destroySandbox({});
        await agent.exited;
        writeFileSync(join(kept, 'audit.log'), readFileSync(log));
        closeSync(log);
        const args = [ctlProgram, 'audit', 'verify', join(kept, 'audit.log')];
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

  it('the debug console starts no shell without a record', async () => {
    const agent = await agentWithSmallDisk('refuse-changes');
    try {
      const { agent: client } = await agent.connect();
      fillDisk(`/proc/${agent.process.pid}/root/run/small/fill`);
      await copyUntilUnavailable(client);
      // The record of a connection is shorter than that of a call: a few may fit into the last bytes.
      let shells = 0;
      while (shells < 20 && (await givesShell(`${agent.socketPath}_1026`))) shells += 1;
      assert.ok(shells < 20, String(shells));
      const log = readFileSync(`/proc/${agent.process.pid}/root/run/small/audit.log`, 'utf8');
      const recorded = log
        .split('\n')
        .filter((line) => /"kind":"intent".*"listener":"debug console"/.test(line));
      assert.equal(recorded.length, shells, 'each shell has a record');
      await agent.stop();
      assert.ok(agent.log.some((line) => /debug console.*side channel: a connection is closed/.test(line)));
      assert.equal(agent.log.filter((line) => line.includes('a shell was started')).length, shells);
    } finally {
      await agent.dispose();
    }
  });

  it('refuse-all denies every call except those of Health', async () => {
    const agent = await agentWithSmallDisk('refuse-all');
    try {
      const { agent: client, health } = await agent.connect();
      fillDisk(`/proc/${agent.process.pid}/root/run/small/fill`);
      await copyUntilUnavailable(client);
      assert.equal((await answerOf(client.getGuestDetails({}))).code, 'UNAVAILABLE');
      assert.equal((await answerOf(health.check({}))).code, 'OK', 'Health reveals and changes nothing');
    } finally {
      await agent.dispose();
    }
  });
});
