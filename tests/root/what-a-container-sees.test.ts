import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { outputOf } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

const commands = [
  'cat /proc/self/mounts',
  'echo "oom $(cat /proc/self/oom_score_adj)"',
  'echo "files $(ulimit -n)"',
  'echo "core $(busybox readlink /dev/core) $(busybox readlink /dev/kcore)"',
];

const volumes = {
  plain: ['rbind', 'rw'],
  'read-only': ['rbind', 'rprivate', 'ro'],
  devices: ['bind', 'dev', 'rw'],
  'nested-devices': ['rbind', 'nodev', 'rdev', 'ro'],
} as const;

const volume = '/run/kata-containers/shared/containers/volume';

/** Each differs from Kata's agent on purpose (docs/reference/differences.md). */
describe('what a container sees of the guest', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let lines: readonly string[] = [];
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-sees-'));
    const rootfs = makeRootfs(directory);
    const agent = await AgentProcess.start({ setup: `mkdir -p ${volume}` });
    try {
      const { agent: client } = await agent.connect();
      await client.createSandbox({ sandboxId: 'pod' });
      const args = ['sh', '-c', commands.join('; ')];
      const id = `sees-${process.pid}`;
      const request = create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args }));
      for (const [name, options] of Object.entries(volumes)) {
        const mount = { destination: `/${name}`, type: 'bind', source: volume, options: [...options] };
        request.OCI?.Mounts.push(create(MountSchema, mount));
      }
      lines = (await outputOf(client, request)).split('\n');
    } finally {
      await agent.dispose();
    }
  });
  after(() => rmSync(directory, { recursive: true }));

  const optionsOf = (place: string): readonly string[] => {
    const line = lines.findLast((each) => each.split(' ')[1] === place);
    assert.ok(line !== undefined, `${place} is not mounted:\n${lines.join('\n')}`);
    return (line.split(' ')[3] ?? '').split(',');
  };

  it('a volume has no device nodes, whatever its options are', () => {
    for (const name of Object.keys(volumes)) assert.ok(optionsOf(`/${name}`).includes('nodev'), name);
    assert.ok(optionsOf('/read-only').includes('ro'));
  });

  it('read-only paths of /proc keep its protections', () => {
    for (const place of ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys']) {
      if (!existsSync(place)) continue;
      for (const option of ['ro', 'nosuid', 'nodev', 'noexec'])
        assert.ok(optionsOf(place).includes(option), `${place} ${option}`);
    }
  });

  it('a masked directory is empty and read-only', {
    skip: existsSync('/proc/acpi') ? false : 'no /proc/acpi',
  }, () => {
    assert.ok(optionsOf('/proc/acpi').includes('ro'));
  });

  it('a process has an OOM score of its own, and a limit of files that a program can count to', () => {
    assert.ok(lines.includes('oom 0'));
    const files = Number(lines.find((line) => line.startsWith('files '))?.slice('files '.length));
    assert.ok(files > 0 && files <= 1_048_576, `${files}`);
  });

  it('/dev/core is the link, and /dev/kcore is not there', () => {
    const core = lines.find((line) => line.startsWith('core '));
    assert.match(core ?? '', /^core (?:\/proc\/kcore)? $/);
  });
});
