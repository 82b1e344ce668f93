import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { asCreate } from './each-container.js';
import { describeRefusals, type Made } from './refusals.test.fixture.js';

// What Kata's runtime-rs 4.1 sends with a shared file system. The names were written down from what it sent under
// containerd 1.7, and from its source where `read` says so; nothing here is computed by the model of calls.

const pod = readFileSync(
  fileURLToPath(new URL('../../../../examples/workloads/volumes.yaml', import.meta.url)),
  'utf8',
).replaceAll('docker.io/library/busybox:1.37', 'i');

const share = '/run/kata-containers/shared/containers/passthrough';
const ephemeral = '/run/kata-containers/sandbox/ephemeral';

/** The sources of the mounts of `web`, by mount point. */
const ofWeb: Readonly<Record<string, string>> = {
  '/dev/shm': '/run/kata-containers/sandbox/shm',
  '/etc/hosts': `${share}/sandbox-0d1c2b3a-etc-hosts`,
  '/etc/hostname': `${share}/sandbox-5c1f0a77-hostname`,
  '/etc/resolv.conf': `${share}/sandbox-9b1e4d2c-resolv.conf`,
  '/var/run/secrets/kubernetes.io/serviceaccount': `${share}/sandbox-70b9b1aa-kube-api-access-8s2nl`,
  // Read: the kubelet's file of a termination message, and a subPath, below.
  '/tmp/ended': `${share}/sandbox-1f0e5d3c-6a1b2c3d`,
  '/cache': `${share}/sandbox-aa00bb11-cache`,
  '/memory-cache': `${ephemeral}/memory-cache`,
  '/config': `${share}/watchable/sandbox-c0ffee00-settings`,
  '/etc/tls': `${share}/sandbox-01234567-certificates`,
  '/etc/podinfo': `${share}/sandbox-89abcdef-labels`,
  '/shared': `${share}/sandbox-11112222-exchange`,
  '/handover': `${share}/sandbox-33334444-handover`,
  '/data': `${share}/sandbox-55556666-pvc-5a7c9d2e-1111-2222-3333-444455556666`,
  '/var/log/pods': `${share}/sandbox-77778888-pods`,
};

const ofVault: Readonly<Record<string, string>> = {
  '/dev/shm': '/run/kata-containers/sandbox/shm',
  '/etc/hosts': `${share}/sandbox-0d1c2b3a-etc-hosts`,
  '/etc/hostname': `${share}/sandbox-5c1f0a77-hostname`,
  '/etc/resolv.conf': `${share}/sandbox-9b1e4d2c-resolv.conf`,
  '/var/run/secrets/kubernetes.io/serviceaccount': `${share}/sandbox-70b9b1aa-kube-api-access-8s2nl`,
  '/dev/termination-log': `${share}/sandbox-2f0e5d3c-0a1b2c3d`,
  '/keys': `${share}/sandbox-ab00bb11-keys`,
  '/memory-keys': `${ephemeral}/memory-keys`,
  '/etc/settings': `${share}/watchable/sandbox-c0ffee00-settings`,
  '/etc/password': `${share}/watchable/sandbox-c0ffee01-password`,
  '/exchange': `${share}/sandbox-11112222-exchange`,
  // Read: the position of the mount in the container, as the kubelet names it.
  '/srv/data': `${share}/sandbox-99990000-5`,
  '/etc/localtime': `${share}/sandbox-abcdef01-UTC`,
};

const ofPrepare: Readonly<Record<string, string>> = {
  ...ofVault,
  '/dev/termination-log': `${share}/sandbox-3f0e5d3c-1a1b2c3d`,
  '/handover': `${share}/sandbox-33334444-handover`,
  '/etc/settings': `${share}/watchable/sandbox-c0ffee99-settings`,
};
for (const path of ['/keys', '/memory-keys', '/etc/password', '/exchange', '/srv/data', '/etc/localtime'])
  Reflect.deleteProperty(ofPrepare, path);

const ofPause: Readonly<Record<string, string>> = {
  '/dev/shm': '/run/kata-containers/sandbox/shm',
  '/etc/resolv.conf': `${share}/sandbox-9b1e4d2c-resolv.conf`,
};

const containers: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '': ofPause,
  prepare: ofPrepare,
  vault: ofVault,
  web: ofWeb,
};

/** Gives the mounts these sources, and watched volumes their storages. */
function asSent(sources: Readonly<Record<string, string>>, { request, mounts }: Made): void {
  for (const mount of mounts) {
    const source = sources[mount.destination];
    if (!mount.source.startsWith('/run/kata-containers/')) assert.equal(source, undefined, mount.destination);
    else mount.source = source ?? assert.fail(mount.destination);
  }
  assert.deepEqual(
    Object.keys(sources).filter((path) => !mounts.some(({ destination }) => destination === path)),
    [],
  );
  for (const storage of request.storages) {
    const name = /-([a-z-]+)$/.exec(storage.mountPoint)?.[1] ?? '';
    if (storage.driver !== 'watchable-bind') continue;
    const source = Object.values(sources).find((each) => each.endsWith(`-${name}`)) ?? assert.fail(name);
    storage.mountPoint = source;
    storage.source = source.replace('/watchable/', '/');
  }
}

describeRefusals(
  'sources that runtime-rs names after paths of the host',
  ({ calls, created }) => {
    const rule = /^create-container-file-(sources|paths)$/;

    test('are allowed, the pause container first', () => {
      for (const which of Object.keys(containers))
        assert.equal(
          created(() => undefined, which),
          undefined,
          which,
        );
    });

    test('are those of the model of calls, but for the numbers of the host', () => {
      const form = (source: string): string =>
        source
          .replace(/sandbox-[0-9a-f]{8}-[0-9a-f]{8}$/, 'sandbox-HEX8-HEX8')
          .replace(/sandbox-[0-9a-f]{8}-/, 'sandbox-HEX8-')
          .replace(/kube-api-access-[a-z0-9]{5}$/, 'kube-api-access-XXXXX')
          .replace(/-pvc-[0-9a-f-]{36}$/, '-pv');
      for (const [which, sources] of Object.entries(containers)) {
        const call = calls.find(
          ({ method, container }) => method === 'CreateContainer' && container === which,
        );
        const mounts = (call && asCreate(call)?.OCI?.Mounts) ?? [];
        const own = mounts.filter(({ source }) => source.startsWith('/run/kata-containers/'));
        assert.deepEqual(
          new Map(own.map(({ destination, source }) => [destination, form(source)])),
          new Map(own.map(({ destination }) => [destination, form(sources[destination] ?? '')])),
        );
      }
    });

    test('a watched volume has one storage for the pod: a later container has only the mount', () => {
      const storages = (which: string): readonly string[] =>
        calls
          .filter(({ method, container }) => method === 'CreateContainer' && container === which)
          .flatMap((call) => asCreate(call)?.storages ?? [])
          .filter(({ driver }) => driver === 'watchable-bind')
          .map(({ mountPoint }) => mountPoint.replace(/^.*-/, ''));
      assert.deepEqual(
        [storages('prepare'), storages('vault'), storages('web')],
        [['settings'], ['settings', 'password'], []],
      );
    });

    test('two mounts have one source only if they are of one volume, over all containers', () => {
      // Both names are the host's choice: the directory of a claim, and the number of a termination message.
      const merged = (path: string, source: string): string | undefined =>
        created(({ mounts }) => {
          for (const mount of mounts) if (mount.destination === path) mount.source = source;
        });
      const apart = 'create-container-volumes-isolated-in-sandbox';
      assert.equal(merged('/data', ofVault['/keys'] ?? ''), apart);
      const behindCopy = ofVault['/etc/password']?.replace('/watchable', '') ?? '';
      assert.equal(merged('/data', behindCopy), apart);
      assert.equal(merged('/data', ofWeb['/cache'] ?? ''), 'create-container-volumes-isolated');
      assert.equal(merged('/tmp/ended', ofVault['/dev/termination-log'] ?? ''), apart);
      assert.equal(merged('/shared', `${share}/sandbox-ffffffff-exchange`), undefined);
    });

    test('names of the mount point, of another volume, of a container and with other numbers are denied', () => {
      const with_ = (path: string, source: string, which = 'web'): string | undefined =>
        created(({ mounts }) => {
          for (const mount of mounts) if (mount.destination === path) mount.source = source;
        }, which);
      const id = calls.flatMap((call) => asCreate(call)?.containerId ?? []).at(-1) ?? '';
      for (const [path, source] of [
        ['/etc/hosts', `${share}/sandbox-0d1c2b3a-hosts-x`],
        ['/etc/hosts', `${share}/sandbox-0123456789abcdef-hosts`],
        ['/etc/hosts', `${share}/${id}-0123456789abcdef-hosts`],
        ['/etc/hosts', `/run/kata-containers/shared/containers/sandbox-0d1c2b3a-etc-hosts`],
        ['/etc/hosts', `${share}/sandbox-0D1C2B3A-etc-hosts`],
        ['/etc/hosts', `${share}/sandbox-0d1c2b3a-etc-hosts/x`],
        ['/etc/hosts', `${share}/watchable/sandbox-0d1c2b3a-etc-hosts`],
        ['/etc/hostname', `${share}/sandbox-0d1c2b3a-etc-hosts`],
        ['/cache', `${share}/sandbox-ab00bb11-keys`],
        ['/cache', `${share}/sandbox-ab00bb11-x-cache`],
        ['/cache', `${share}/sandbox-cache`],
        ['/config', `${share}/watchable/sandbox-c0ffee01-password`],
        ['/shared', `${share}/sandbox-33334444-handover`],
        ['/etc/podinfo', `${share}/sandbox-89abcdef-podinfo`],
        ['/tmp/ended', `${share}/sandbox-1f0e5d3c-ended`],
        ['/var/log/pods', `${share}/sandbox-77778888-log`],
        ['/var/run/secrets/kubernetes.io/serviceaccount', `${share}/sandbox-70b9b1aa-serviceaccount`],
      ] as const)
        assert.match(
          with_(path, source) ?? '',
          source.includes('/watchable/') ? /mount-storages|file-sources/ : rule,
          source,
        );
      assert.match(with_('/srv/data', `${share}/sandbox-99990000-data`, 'vault') ?? '', rule);
      assert.match(with_('/srv/data', `${share}/sandbox-99990000-4`, 'vault') ?? '', rule);
    });
  },
  {
    of: [{ runtime: 'rs', guest: 'shared-fs' }],
    pod,
    sent: (made, which) => asSent(containers[which] ?? {}, made),
  },
);
