import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { checkExchange, loadSyscalls, RecordingSyscalls } from '@kata-agent/linux';
import { guideBlocks } from '../harness/guide.js';
import { agentProgram } from '../harness/repository.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-guide-'));
after(() => rmSync(directory, { recursive: true }));

describe('the guide’s workaround for vsock', () => {
  const heading = 'When vsock does not work';
  const [config = '', ...others] = guideBlocks(heading, 'toml');
  const [command = ''] = guideBlocks(heading, 'sh');

  it('has a valid configuration that serves what a pod needs', () => {
    assert.deepEqual(others, []);
    const file = join(directory, 'config.toml');
    writeFileSync(file, config);
    const explained = spawnSync(process.execPath, [agentProgram, '-c', file, '--explain'], {
      encoding: 'utf8',
    });
    assert.equal(explained.status, 0, explained.stderr);
    assert.match(explained.stdout, /^listener relay at unix:\/\/\/run\/kata-agent\/agent\.sock for host$/m);
    assert.match(explained.stdout, /^ +CreateContainer +served /m);
    assert.match(explained.stdout, /^ +ExecProcess +not served /m);
  });

  it('forwards to the socket of that configuration, with the command in the agent’s error', async () => {
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
