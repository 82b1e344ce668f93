import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { closedAccess, type GuestAccess } from './guest-access.js';
import type { OciLinux, OciProcess, OciSpec } from './request/oci-spec.js';
import { createContainer, startContainer } from './perform/containers.js';
import { execProcess } from './perform/processes.js';
import { RealGuest, settled, skip } from './testing/real-guest.js';

const refusing: GuestAccess = closedAccess;
const someCapabilities = ['CAP_KILL', 'CAP_MKNOD'];
const sets = (names: readonly string[]): OciProcess['capabilities'] => ({
  bounding: names,
  effective: names,
  permitted: names,
});

describe('access of containers to the guest, with the real runtime', { skip }, () => {
  let real: RealGuest;
  before(async () => {
    real = await RealGuest.open({ access: refusing });
  });
  after(() => real.close());

  const withLinux = (linux: OciLinux, args: readonly string[] = ['true']): OciSpec => {
    const spec = real.spec(args);
    return { ...spec, linux: { ...spec.linux, ...linux } };
  };

  const create = (spec: OciSpec): Promise<void> => {
    const id = real.id();
    return createContainer(real.guest, { id, execId: id, spec, storages: [], sandboxPidns: false });
  };

  /** The request is refused before anything is created. */
  const refused = async (spec: OciSpec, expected: object): Promise<void> => {
    await settled();
    const earlier = real.traces();
    await assert.rejects(create(spec), expected);
    await settled();
    assert.deepEqual(real.traces(), earlier);
  };

  const printed = async (
    args: readonly string[],
    process: Partial<OciProcess> = {},
    more: { readonly spec?: OciSpec } = {},
  ): Promise<string> => {
    const id = await real.run(args, { process, ...more });
    const output = String(await real.readAll(id)) + String(await real.readAll(id, 'stderr'));
    await real.wait(id);
    await real.remove(id);
    return output;
  };

  const executed = async (id: string, process: OciProcess): Promise<string> => {
    const execId = real.id();
    await execProcess(real.guest, { containerId: id, execId, process });
    const output = String(await real.readAll(id, 'stdout', execId));
    await real.wait(id, execId);
    return output;
  };

  it('nodes of devices that are not allowed are refused, and leave nothing', async () => {
    for (const [path, major, minor] of [
      ['/dev/kvm', 10, 232],
      ['/dev/console', 5, 1],
      ['/dev/ttyS0', 4, 64],
      ['/dev/loop-control', 10, 237],
      ['/dev/fuse', 10, 229],
      ['/dev/tpm0', 10, 224],
      ['/dev/cpu/0/msr', 202, 0],
      ['/dev/vhost-vsock', 10, 241],
      ['/dev/kmsg', 1, 11],
      ['/dev/null', 10, 232],
      ['/dev//null', 1, 3],
    ] as const)
      await refused(withLinux({ devices: [{ path, type: 'c', major, minor }] }), { kind: 'refused' });
    await refused(withLinux({ devices: [{ path: '/dev/x', type: 'p', major: 0, minor: 0 }] }), {
      kind: 'refused',
    });
    await refused(
      withLinux({ resources: { devices: [{ allow: true, type: 'c', major: 10, minor: 232, access: 'r' }] } }),
      { kind: 'refused', message: /add "c 10:232" to \[agent\] devices/ },
    );
  });

  it('a container that ends before it is started is not created, and no device rule of the guest changes', async () => {
    // The profile kills the runtime's own process: runc's after the answer, crun's before.
    const seccomp = { defaultAction: 'SCMP_ACT_KILL_PROCESS' };
    await refused(withLinux({ seccomp }), {
      kind: 'precondition',
      message: /it ended before the container was started|read from the init process/,
    });
    const devices = '/sys/fs/cgroup/devices';
    if (!existsSync(devices)) return;
    const probe = join(devices, `${real.name}-probe`);
    mkdirSync(probe);
    try {
      // A device that the root cgroup denies cannot be allowed below it.
      writeFileSync(join(probe, 'devices.allow'), 'b *:* rwm', { flag: 'r+' });
    } finally {
      rmdirSync(probe);
    }
  });

  it('a device node that a container creates cannot be opened under any device rules', async () => {
    const open = (number: string) => `mknod /dev/d c ${number} && cat < /dev/d | head -c 1; rm -f /dev/d; `;
    const script = ['1 11', '10 232', '10 229', '5 1', '10 200'].map(open).join('');
    for (const rules of [
      undefined,
      [{ allow: true, access: 'rwm' }],
      [{ allow: true, type: 'a', major: -1, minor: -1, access: 'rwm' }],
      [{ allow: true, type: 'c', major: 10, minor: -1, access: 'rw' }],
    ]) {
      const spec = withLinux({ resources: { devices: rules } }, ['sh', '-c', script]);
      const output = await printed([], {}, { spec });
      assert.equal(output.match(/Operation not permitted/g)?.length, 5, output);
    }
  });

  it('an exec has exactly the capabilities of its request', async () => {
    const id = await real.run(['sleep', '1000']);
    const show = [
      'sh',
      '-c',
      'while read line; do case $line in Cap*) echo "$line";; esac; done < /proc/self/status',
    ];
    const none = await executed(id, { ...real.process(show), capabilities: undefined });
    assert.deepEqual(
      none.match(/[0-9a-f]{16}/g),
      Array.from({ length: 5 }, () => '0'.repeat(16)),
    );
    const some = await executed(id, { ...real.process(show), capabilities: sets(someCapabilities) });
    assert.match(some, /CapBnd:\t0{8}08000020/);
    await real.remove(id);
  });

  it('invalid errnos and actions of a seccomp profile are refused', async () => {
    for (const errnoRet of [65_536, 4_096, 0]) {
      const syscalls = [{ names: ['chmod', 'fchmodat'], action: 'SCMP_ACT_ERRNO', errnoRet }];
      const seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls };
      await refused(withLinux({ seccomp }), { kind: 'invalid', message: /from 1 to 4095/ });
    }
    for (const action of ['SCMP_ACT_NOTIFY', 'SCMP_ACT_DENY', ''])
      await refused(withLinux({ seccomp: { defaultAction: action } }), { kind: 'invalid' });
  });

  it('a forged cap_last_cap hides no capability of an exec', async () => {
    const forged = join(real.rootfs, 'forged');
    mkdirSync(forged);
    writeFileSync(join(forged, 'last'), '0\n');
    const spec = real.spec(['sleep', '1000']);
    const id = real.id();
    const binds = [
      {
        destination: '/proc/sys/kernel/cap_last_cap',
        type: 'bind',
        source: join(forged, 'last'),
        options: ['bind'],
      },
    ];
    // The OCI runtime refuses to mount anything there.
    await refused({ ...spec, mounts: [...(spec.mounts ?? []), ...binds] }, { name: 'GuestError' });
    // A mount made there by a privileged container is noticed before an exec.
    await createContainer(real.guest, {
      id,
      execId: id,
      spec: real.spec([
        'sh',
        '-c',
        'mount -o bind /forged/last /proc/sys/kernel/cap_last_cap; echo done; sleep 1000',
      ]),
      storages: [],
      sandboxPidns: false,
    });
    await startContainer(real.guest, id);
    await real.readUntil('done', { containerId: id, execId: '' });
    for (const process of [
      real.process(['cat', '/proc/sys/kernel/cap_last_cap']),
      { ...real.process(['touch', '/tmp/ran']), capabilities: sets(someCapabilities) },
    ])
      await assert.rejects(execProcess(real.guest, { containerId: id, execId: real.id(), process }), {
        kind: 'refused',
        message: /cap_last_cap is not the kernel's/,
      });
    assert.equal(existsSync(join(real.rootfs, 'tmp/ran')), false);
    await real.remove(id);
  });

  it('no exec starts in a container whose first process has moved to other namespaces', async () => {
    const script = 'exec unshare -m sh -c "echo moved; exec sleep 1000"';
    const id = await real.run(['sh', '-c', script]);
    await real.readUntil('moved', { containerId: id, execId: '' });
    const marker = join(real.rootfs, 'tmp/executed');
    await assert.rejects(
      execProcess(real.guest, {
        containerId: id,
        execId: real.id(),
        process: real.process(['touch', '/tmp/executed']),
      }),
      { kind: 'refused', message: /another mnt namespace/ },
    );
    assert.equal(existsSync(marker), false);
    await real.remove(id);
  });

  it('a working directory outside of the root ends the process before it runs', async () => {
    for (let descriptor = 3; descriptor < 12; descriptor += 1) {
      const link = `wd-${descriptor}`;
      symlinkSync(`/proc/self/fd/${descriptor}`, join(real.rootfs, link));
      const spec = real.spec(['touch', `/tmp/ran-${descriptor}`], { cwd: `/${link}` });
      await refused(spec, { name: 'GuestError' }).catch(async (error: unknown) => {
        // A dangling link makes the runtime create a directory inside the root, which is harmless.
        assert.match(String(error), /Missing expected rejection/);
      });
      const id = await real.run(['sleep', '1000']);
      const exec = real.process(['sh', '-c', 'ls -d ../../../../../etc/hostname; pwd'], { cwd: `/${link}` });
      const output = await executed(id, exec).catch(() => '');
      assert.doesNotMatch(output, /hostname$/m, `descriptor ${descriptor}: ${output}`);
      await real.remove(id);
    }
  });

  it('a container without a pids limit gets one', async () => {
    const id = await real.run(['sleep', '1000']);
    const cgroup = real.guest.container(id).cgroup;
    const file =
      cgroup.version === 2
        ? join(cgroup.directory, 'pids.max')
        : join(cgroup.controllers.get('pids') ?? '', 'pids.max');
    assert.match(readFileSync(file, 'utf8'), /^[1-9]\d*$/m);
    await real.remove(id);
  });

  it('a container cannot have the cgroup of another one', async () => {
    const cgroupsPath = `/${real.name}/one`;
    const id = real.id();
    await createContainer(real.guest, {
      id,
      execId: id,
      spec: withLinux({ cgroupsPath }, ['sleep', '1000']),
      storages: [],
      sandboxPidns: false,
    });
    for (const path of [cgroupsPath, `${cgroupsPath}/below`, `/${real.name}`])
      await refused(withLinux({ cgroupsPath: path }), { kind: 'exists', message: /cgroup/ });
    await real.remove(id);
    await create(withLinux({ cgroupsPath }));
  });
});
