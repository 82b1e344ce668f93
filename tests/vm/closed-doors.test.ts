import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';
import { doorPorts, everyDoor } from './every-door.js';
import { openImage } from './hotplug.js';
import { boot, dial, shell, whyNoMachine } from './machine.js';
import { bytesUntilEnd } from './read-socket.js';
import { runningGuest } from './running-guest.js';

const skip = whyNoMachine('golang-go') ?? false;
const program = '/usr/lib/kata-agent-vm/knock';

/** The program that a container knocks with, without a C library: it runs in an empty root file system. */
function buildKnock(folder: string): Buffer {
  const output = join(folder, 'knock');
  const built = spawnSync('go', ['build', '-trimpath', '-ldflags=-s', '-o', output, '.'], {
    cwd: join(repository, 'tests', 'vm', 'knock'),
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

describe('a guest whose doors are for the host alone, which is what they are by themselves (S24)', {
  skip,
}, () => {
  // The host is not there, so nobody in this guest may call the agent.
  const guest = runningGuest('closed-doors', async (folder) => {
    const overlay = [{ path: program, data: buildKnock(folder), mode: 0o755 }, everyDoor([])];
    return boot(await openImage('closed-doors'), folder, { overlay });
  });

  /** The first line of the record with this in it. Whoever is turned away is gone a moment before it is written. */
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

  it('turns a container away that knocks, and the record says who it was', async () => {
    const steps = [
      'mkdir -p /run/knock/rootfs',
      `cp ${program} /run/knock/rootfs/knock`,
      'cd /run/knock',
      'runc spec',
      'sed -i "s/\\"terminal\\": true/\\"terminal\\": false/; s#\\"sh\\"#\\"/knock\\"#" config.json',
      'runc run knocker',
    ];
    assert.equal((await shell(guest.machine, steps.join(' && '))).trim(), 'turned away');
    await isRecorded('server_addr');
  });

  for (const [name, port] of Object.entries(doorPorts)) {
    it(`does the same at the door of the ${name}`, async () => {
      const socket = await dial(guest.machine, port);
      // Who is let in is not, and would wait for ever for the end.
      await isRecorded(name);
      assert.equal(String(await bytesUntilEnd(socket)), '');
      assert.doesNotMatch(guest.machine.lines.join('\n'), /a shell was started/);
    });
  }
});
