// The answer to a client about a program that cannot be executed, with both OCI runtimes: the row `create-not-executable` of
// lib/catalogue/src/differences.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { setupFor } from '../harness/oci-runtime.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

/** The header of a program for another machine (ELF, 64 bits, little-endian): nothing after it is read. */
function programFor(machine: number): Buffer {
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  return header;
}

/** EM_SPARCV9: none of the machines that run this agent. */
const otherMachine = 43;

for (const [name, path] of [
  ['runc', '/usr/sbin/runc'],
  ['crun', '/usr/bin/crun'],
] as const)
  describe(`a program that ${name} cannot execute`, {
    skip: whyNoContainers() ?? (existsSync(path) ? false : `${name} is not installed`),
  }, () => {
    let directory = '';
    let rootfs = '';
    let process: AgentProcess;
    let agent: AgentConnection['agent'];
    let count = 0;
    const running = `running-${name}-${globalThis.process.pid}`;

    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'kata-agent-not-executable-'));
      rootfs = makeRootfs(directory);
      writeFileSync(join(rootfs, 'bin/plain'), '#!/bin/sh\n', { mode: 0o644 });
      writeFileSync(join(rootfs, 'bin/foreign'), programFor(otherMachine), { mode: 0o755 });
      process = await AgentProcess.start({ env: { KATA_AGENT_OCI_RUNTIME: path }, setup: setupFor(name) });
      ({ agent } = await process.connect());
      await agent.createSandbox({ sandboxId: 'pod' });
      await agent.createContainer(containerRequest({ id: running, rootfs, args: ['sleep', '600'] }));
      await agent.startContainer({ containerId: running });
    });
    after(async () => {
      await process.dispose();
      rmSync(directory, { recursive: true });
    });

    const create = (args: readonly string[]) => {
      count += 1;
      const id = `n${count}-${name}-${globalThis.process.pid}`;
      return { id, call: answerOf(agent.createContainer(containerRequest({ id, rootfs, args }))) };
    };
    const execute = (args: readonly string[]) => {
      count += 1;
      const execId = `e${count}`;
      const request = { containerId: running, execId, process: processRequest(args) };
      return { execId, call: answerOf(agent.execProcess(request)) };
    };

    it('is missing: INVALID_ARGUMENT with the text of Kata’s agent, and nothing is left', async () => {
      for (const program of ['/bin/missing', 'missing']) {
        for (const { code, message } of [await create([program]).call, await execute([program]).call]) {
          assert.equal(code, 'INVALID_ARGUMENT', message);
          assert.ok(message.startsWith(`the file ${program} was not found`), message);
        }
      }
      const { id, call } = create(['/bin/missing']);
      await call;
      assert.equal((await answerOf(agent.startContainer({ containerId: id }))).code, 'INVALID_ARGUMENT');
    });

    it('is not executable: INVALID_ARGUMENT with its path and the reason', async () => {
      for (const [program, reason] of [
        ['/bin/plain', /"\/bin\/plain": permission denied|`\/bin\/plain` exists but it is not executable/],
        ['/etc', /"\/etc": is a directory|`\/etc` is not a regular file/],
      ] as const)
        for (const { code, message } of [await create([program]).call, await execute([program]).call]) {
          assert.equal(code, 'INVALID_ARGUMENT', message);
          assert.match(message, reason);
        }
    });

    it('is for another machine: the process ends with 1 and writes the reason to stderr', async () => {
      for (const program of ['/bin/foreign', 'foreign']) {
        const { id, call } = create([program]);
        assert.equal((await call).code, 'OK');
        await agent.startContainer({ containerId: id });
        assert.match(String(await readAll(agent, 'stderr', id)), /exec format error/i);
        assert.equal((await agent.waitProcess({ containerId: id, execId: '' })).status, 1);
        await agent.removeContainer({ containerId: id });
        const { execId, call: execution } = execute([program]);
        assert.equal((await execution).code, 'OK');
        assert.match(String(await readAll(agent, 'stderr', running, execId)), /exec format error/i);
        assert.equal((await agent.waitProcess({ containerId: running, execId })).status, 1);
      }
    });
  });
