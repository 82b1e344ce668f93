import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AgentService } from '@kata-agent/protocol/agent';
import { connect, createClient } from '@kata-agent/ttrpc';
import { repository } from '../harness/repository.js';

test("the benchmark's server answers the benchmark's calls", async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-server-'));
  const address = join(directory, 'socket');
  const script = join(repository, 'bench/dist/server.js');
  const server = spawn(process.execPath, [script, address, join(directory, 'audit.log')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(server, 'exit');
  try {
    const [ready] = (await once(server.stdout, 'data')) as [Buffer];
    assert.equal(String(ready), 'ready\n');
    const channel = connect(dial(address));
    const agent = createClient(AgentService, channel);
    const process = { containerId: 'c', execId: '' };
    assert.equal((await agent.waitProcess(process)).status, 7);
    assert.equal((await agent.readStdout({ ...process, len: 32768 })).data.length, 32768);
    channel.close();
  } finally {
    server.stdin.end();
    await exited;
    rmSync(directory, { recursive: true });
  }
});
