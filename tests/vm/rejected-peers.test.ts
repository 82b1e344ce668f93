import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runtimeName } from '../harness/oci-runtime.js';
import { repository } from '../harness/repository.js';
import { sideChannelPorts, sideChannelConfiguration } from './side-channel-configuration.js';
import { openImage } from './hotplug.js';
import { boot, dial, shell, whyNoMachine } from './machine.js';
import { bytesUntilEnd } from './read-socket.js';
import { runningGuest } from './running-guest.js';

const skip = whyNoMachine('golang-go') ?? false;
const program = '/usr/lib/kata-agent-vm/vsock-connect';

/** Builds the program that connects from a container, without a C library: the root file system is otherwise empty. */
function buildVsockConnect(directory: string): Buffer {
  const output = join(directory, 'vsock-connect');
  const built = spawnSync('go', ['build', '-trimpath', '-ldflags=-s', '-o', output, '.'], {
    cwd: join(repository, 'tests', 'vm', 'vsock-connect'),
    encoding: 'utf8',
    env: {
      ...process.env,
      CGO_ENABLED: '0',
      GO111MODULE: 'on',
      GOFLAGS: '-mod=mod',
      GOCACHE: join(repository, 'build', 'go', 'cache'),
    },
  });
  assert.equal(built.status, 0, `${built.stderr}${built.error?.message ?? ''}`);
  return readFileSync(output);
}

describe('a guest whose side channels accept only the host, as by default (S24)', {
  skip,
}, () => {
  // The host is not present, so no process in this guest may call the agent.
  const guest = runningGuest('rejected-peers', async (directory) => {
    const overlay = [
      { path: program, data: buildVsockConnect(directory), mode: 0o755 },
      sideChannelConfiguration([]),
    ];
    return boot(await openImage('rejected-peers'), directory, { overlay });
  });

  /** Returns the first record that contains this text. A rejected connection is closed before the record is written. */
  async function recorded(text: string): Promise<string> {
    const look = `grep -m 1 -F '${text}' /run/kata-agent/audit.log`;
    return shell(guest.machine, `for n in $(seq 300); do ${look} && exit 0; sleep 0.1; done; exit 1`);
  }

  async function isRecorded(listener: string): Promise<void> {
    const line = await recorded(`"listener":"${listener}"`);
    assert.match(line, /"peer":"cid 1"/);
    assert.match(line, /"method":"\(connection\)"/);
    assert.match(line, /"deny"/);
  }

  it('rejects a connection from a container, and records its peer', async () => {
    const steps = [
      'mkdir -p /run/container/rootfs',
      `cp ${program} /run/container/rootfs/vsock-connect`,
      'cd /run/container',
      `${runtimeName} spec`,
      'sed -i "s/\\"terminal\\": true/\\"terminal\\": false/; s#\\"sh\\"#\\"/vsock-connect\\"#" config.json',
      `${runtimeName} run connector`,
    ];
    assert.equal((await shell(guest.machine, steps.join(' && '))).trim(), 'rejected');
    await isRecorded('server_addr');
  });

  for (const [name, port] of Object.entries(sideChannelPorts)) {
    it(`does the same on the port of the ${name}`, async () => {
      const socket = await dial(guest.machine, port);
      // An accepted connection has no such record, and the wait would never end.
      await isRecorded(name);
      assert.equal(String(await bytesUntilEnd(socket)), '');
      assert.doesNotMatch(guest.machine.lines.join('\n'), /a shell was started/);
    });
  }
});
