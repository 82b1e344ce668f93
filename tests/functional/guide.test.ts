import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { checkExchange, loadSyscalls, RecordingSyscalls } from '@kata-agent/linux';
import { guideBlocks } from '../harness/guide.js';
import { agentProgram } from '../harness/repository.js';

const folder = mkdtempSync(join(tmpdir(), 'kata-guide-'));
after(() => rmSync(folder, { recursive: true }));

describe('the guide’s way around vsock', () => {
  const heading = 'When vsock does not work';
  const [config = '', ...others] = guideBlocks(heading, 'toml');
  const [command = ''] = guideBlocks(heading, 'sh');

  it('has a configuration that can be loaded, and that serves what a pod needs', () => {
    assert.deepEqual(others, []);
    const file = join(folder, 'config.toml');
    writeFileSync(file, config);
    const said = spawnSync(process.execPath, [agentProgram, '-c', file, '--explain'], { encoding: 'utf8' });
    assert.equal(said.status, 0, said.stderr);
    assert.match(said.stdout, /^listener relay at unix:\/\/\/run\/kata-agent\/agent\.sock for host$/m);
    assert.match(said.stdout, /^ +CreateContainer +served /m);
    assert.match(said.stdout, /^ +ExecProcess +not served /m);
  });

  it('leads to the socket of that configuration, by the command that the agent’s own error tells', async () => {
    const [, address] = /^address = "unix:\/\/(.*)"$/m.exec(config) ?? [];
    assert.equal(command.trim(), `socat VSOCK-LISTEN:1024,fork UNIX-CONNECT:${address}`);
    const kernel = loadSyscalls();
    const broken = new RecordingSyscalls({}, kernel);
    broken.fail('dup3', 'EBUSY');
    await assert.rejects(checkExchange(broken, 60_000), (error: Error) =>
      error.message.includes(command.trim()),
    );
  });
});
