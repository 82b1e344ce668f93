import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { repository } from '../harness/repository.js';
import { boot, dial, imageOf, listening, type Machine, shell, stop, whyNoMachine } from './machine.js';

const skip = whyNoMachine() ?? false;
const program = '/usr/lib/kata-agent-vm/knock';

/** Doors beside the API, by the words that ask for them, and the ports that Kata gives them. */
const askedFor = { log_vport: 1025, debug_console_vport: 1026, passfd_listener_port: 1027 } as const;

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

describe('a container at the agent’s door (S24)', { skip }, () => {
  let folder = '';
  let machine: Machine;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-vm-knock-'));
    const overlay = [{ path: program, data: buildKnock(folder), mode: 0o755 }];
    // The configuration as it ships: its listener is for the host, which is not there.
    const image = await imageOf('confidential', {
      config: join(repository, 'examples', 'confidential.toml'),
      asItIs: true,
    });
    const ports = Object.entries(askedFor).map(([name, port]) => `agent.${name}=${port}`);
    machine = await boot(image, folder, { overlay, append: ['agent.debug_console', ...ports] });
    await machine.line(listening);
  });

  after(async () => {
    await machine?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is turned away, and the record says who it was', async () => {
    const steps = [
      'mkdir -p /run/knock/rootfs',
      `cp ${program} /run/knock/rootfs/knock`,
      'cd /run/knock',
      'runc spec',
      'sed -i "s/\\"terminal\\": true/\\"terminal\\": false/; s#\\"sh\\"#\\"/knock\\"#" config.json',
      'runc run knocker',
    ];
    assert.equal((await shell(machine, steps.join(' && '))).trim(), 'turned away');
    const record = await shell(machine, 'cat /run/kata-agent/audit.log');
    const refusal = record.split('\n').find((line) => line.includes('(connection)')) ?? '';
    assert.match(refusal, /"peer":"cid 1"/);
    assert.match(refusal, /"deny"/);
  });

  it('finds no other door, whatever the kernel’s line asks for (S21, S22)', async () => {
    for (const port of Object.values(askedFor))
      await assert.rejects(dial(machine, port), { message: 'ECONNRESET' }, `port ${port}`);
    const first = await shell(machine, 'head -n 1 /run/kata-agent/audit.log');
    for (const name of ['debug_console', ...Object.keys(askedFor)])
      assert.match(first, new RegExp(`"ignoredOverrides":.*"${name}"`), name);
  });

  it('ends in order when it is told to', async () => {
    await stop(machine);
    assert.match(machine.lines.join('\n'), /PID 1 ends with code 0; the machine is powered off/);
  });
});
