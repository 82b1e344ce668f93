import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { answerOf } from '../harness/sweep.js';

describe('the version of the OCI runtime (S12)', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-runtime-'));
  after(() => rmSync(directory, { recursive: true }));

  /** Returns what the agent logs about a fake runtime's version. */
  async function logged(version: string): Promise<readonly string[]> {
    const runtime = join(directory, `runtime-${version}`);
    const features = JSON.stringify({ annotations: { 'org.opencontainers.runc.version': version } });
    writeFileSync(runtime, `#!/bin/sh\ncase "$*" in *features) echo '${features}';; esac\n`, { mode: 0o755 });
    const agent = await AgentProcess.start({
      config: `[agent]\noci_runtime = "${runtime}"\n[api]\nallowed_endpoints = ["@pod", "GetGuestDetails"]\n`,
    });
    try {
      // A reply means that the runtime has printed its version.
      const { agent: client } = await agent.connect();
      await client.getGuestDetails({});
      await agent.stop();
      return agent.log.filter((line) => line.includes('OCI runtime'));
    } finally {
      await agent.dispose();
    }
  }

  it('is logged, with a warning for each set of known flaws', async () => {
    const [told, ...warnings] = await logged('1.1.15+ds1');
    assert.match(told ?? '', /version 1\.1\.15\+ds1/);
    assert.equal(warnings.length, 2, warnings.join('\n'));
    for (const [index, flaw] of ['CVE-2025-52881', 'CVE-2026-41579'].entries()) {
      assert.match(warnings[index] ?? '', new RegExp(`older than the fixes for .*${flaw}`));
      assert.match(warnings[index] ?? '', /"level":"WARN"/);
    }
  });

  it('without one the agent starts, and calls that need it fail with the remedy', async () => {
    const config = `[agent]\noci_runtime = "${directory}/none"\n[api]\nallowed_endpoints = ["@pod", "GetGuestDetails"]\n`;
    const rootfs = '/run/kata-containers/shared/containers/c/rootfs';
    const agent = await AgentProcess.start({ config, setup: `mkdir -p ${rootfs}` });
    try {
      const { agent: client } = await agent.connect();
      await client.getGuestDetails({});
      await client.createSandbox({ sandboxId: 'pod' });
      const request = containerRequest({ id: 'c', rootfs, args: ['true'] });
      const { code, message } = await answerOf(client.createContainer(request));
      assert.equal(code, 'FAILED_PRECONDITION', message);
      assert.match(
        message,
        /the OCI runtime .*\/none cannot be run; help: install it there, or set oci_runtime to another/,
      );
      await client.destroySandbox({});
    } finally {
      await agent.dispose();
    }
  });

  it('is logged without warnings if it has the fixes', async () => {
    const lines = await logged('1.3.6');
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0] ?? '', /version 1\.3\.6/);
  });
});
