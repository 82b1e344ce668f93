import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { ctlProgram } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

// What `config generate` writes for a probe: an exec has what its container has.
const config = `[api]
release = "4.1"
allowed_endpoints = ["*"]

[[api.rule]]
name = "exec-process-capabilities"
endpoints = ["ExecProcess"]
expression = 'capabilities == ["CAP_CHOWN", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"]'
`;

describe('kata-agent-ctl exec', { skip: whyNoContainers() ?? false }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-exec-'));
  after(() => rmSync(directory, { recursive: true }));

  it('runs a program with the capabilities of the container, no more and no less', async () => {
    const agent = await AgentProcess.start({ config });
    try {
      const { agent: host } = await agent.connect();
      await host.createSandbox({ sandboxId: 'pod' });
      const id = `exec-${process.pid}`;
      const rootfs = makeRootfs(directory);
      await host.createContainer(containerRequest({ id, rootfs, args: ['sleep', '1000'] }));
      await host.startContainer({ containerId: id });
      const { stdout } = await promisify(execFile)(process.execPath, [
        ctlProgram,
        'exec',
        '-a',
        `unix://${agent.socketPath}`,
        id,
        '--',
        'cat',
        '/proc/self/status',
      ]);
      assert.match(stdout, /^CapEff:\t00000000000000e1\nCapBnd:\t00000000000000e1$/m);
      await host.removeContainer({ containerId: id });
    } finally {
      await agent.dispose();
    }
  });
});
