import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { outputOf } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { runtimeName } from '../harness/oci-runtime.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

const commands = [
  'cat /proc/self/mounts',
  'echo "oom $(cat /proc/self/oom_score_adj)"',
  'echo "files $(ulimit -n)"',
  'echo "core $(busybox readlink /dev/core) $(busybox readlink /dev/kcore)"',
  'echo "masked $(busybox ls -A /masked)."',
  // crun adds links to hierarchies.
  'echo "cgroups" $(cd /sys/fs/cgroup; busybox find . ! -type l -mindepth 1 -maxdepth 1)',
  '(: > /sys/fs/cgroup/made); echo "made $?"',
  '(: > /device); echo "device $?"',
];

const volumes = {
  plain: ['rbind', 'rw'],
  'read-only': ['rbind', 'rprivate', 'ro'],
  devices: ['bind', 'dev', 'rw'],
  'nested-devices': ['rbind', 'nodev', 'rdev', 'ro'],
} as const;

const shared = '/run/kata-containers/shared/containers';
const volume = `${shared}/volume`;

/** Each differs from Kata's agent on purpose (docs/reference/differences.md). */
describe('what a container sees of the guest', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let lines: readonly string[] = [];
  let rootOfShare: readonly string[] = [];
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-sees-'));
    const rootfs = makeRootfs(directory);
    mkdirSync(join(rootfs, 'masked'));
    writeFileSync(join(rootfs, 'masked', 'file'), '');
    const inShare = `seen-${process.pid}`;
    const setup = `mkdir -p ${volume} ${shared}/${inShare} && cp -a ${rootfs} ${shared}/${inShare}/rootfs`;
    const agent = await AgentProcess.start({ setup });
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
      const options = ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'];
      request.OCI?.Mounts.push(
        create(MountSchema, { destination: '/device', type: 'bind', source: '/dev/null', options: ['bind'] }),
        create(MountSchema, { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options }),
      );
      request.OCI?.Linux?.MaskedPaths.push('/masked');
      lines = (await outputOf(client, request)).split('\n');
      const fromShare = {
        id: inShare,
        rootfs: `${shared}/${inShare}/rootfs`,
        args: ['cat', '/proc/self/mounts'],
      };
      const second = create(CreateContainerRequestSchema, containerRequest(fromShare));
      rootOfShare = (await outputOf(client, second)).split('\n')[0]?.split(' ') ?? [];
    } finally {
      await agent.dispose();
    }
  });
  after(() => rmSync(directory, { recursive: true }));

  const fieldsOf = (place: string): readonly string[] => {
    const line = lines.findLast((each) => each.split(' ')[1] === place);
    assert.ok(line !== undefined, `${place} is not mounted:\n${lines.join('\n')}`);
    return line.split(' ');
  };
  const typeOf = (place: string): string | undefined => fieldsOf(place)[2];
  const optionsOf = (place: string): readonly string[] => (fieldsOf(place)[3] ?? '').split(',');

  it('a volume has no device nodes, whatever its options are', () => {
    for (const name of Object.keys(volumes)) assert.ok(optionsOf(`/${name}`).includes('nodev'), name);
    assert.ok(optionsOf('/read-only').includes('ro'));
  });

  it('the root has no device nodes with runc, and a device that is bound is one', () => {
    // The former is outside of the share, and an overlay.
    assert.deepEqual([typeOf('/'), rootOfShare[1], rootOfShare[2]], ['overlay', '/', 'tmpfs']);
    for (const options of [optionsOf('/'), rootOfShare[3]?.split(',') ?? []])
      assert.equal(options.includes('nodev'), runtimeName !== 'crun', options.join());
    assert.ok(!optionsOf('/device').includes('nodev'));
    assert.ok(lines.includes('device 0'), 'it can be written');
  });

  it('read-only paths of /proc keep its protections', () => {
    for (const place of ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys']) {
      if (!existsSync(place)) continue;
      for (const option of ['ro', 'nosuid', 'nodev', 'noexec'])
        assert.ok(optionsOf(place).includes(option), `${place} ${option}`);
    }
  });

  it('a masked directory is empty and read-only', () => {
    assert.ok(lines.includes('masked .'), lines.join('\n'));
    assert.equal(typeOf('/masked'), 'tmpfs');
    assert.ok(optionsOf('/masked').includes('ro'));
  });

  it('with cgroup v1 the tmpfs of its hierarchies is writable, and has their mount points alone', {
    skip: existsSync('/sys/fs/cgroup/cgroup.controllers') ? 'cgroup v2' : false,
  }, () => {
    assert.equal(typeOf('/sys/fs/cgroup'), 'tmpfs');
    const [, names = ''] = /^cgroups (.*)$/m.exec(lines.join('\n')) ?? [];
    for (const name of names.split(' ').filter(Boolean)) {
      const place = join('/sys/fs/cgroup', name);
      assert.equal(typeOf(place), 'cgroup', place);
      assert.ok(optionsOf(place).includes('ro'), place);
    }
    assert.match(names, /\bmemory\b/);
    assert.ok(lines.includes('made 0'), lines.join('\n'));
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
