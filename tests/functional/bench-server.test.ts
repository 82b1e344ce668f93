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

test('the server that benchmarks measure answers the calls that they make', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kata-bench-server-'));
  const address = join(folder, 'socket');
  const script = join(repository, 'bench/dist/server.js');
  const server = spawn(process.execPath, [script, address, join(folder, 'audit.log')], {
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
    rmSync(folder, { recursive: true });
  }
});
