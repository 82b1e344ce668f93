import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMessage } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { describeRefusals, type Made } from './refusals.test.fixture.js';

describeRefusals(
  'changes to variables, mounts and storages that genpolicy denies are denied',
  ({ setup, text, calls, created, executed }) => {
    test('each unchanged request is allowed', () => {
      for (const which of ['', 'web', 'worker'])
        assert.equal(
          created(() => undefined, which),
          undefined,
          which,
        );
      for (const which of ['web', 'worker'])
        assert.equal(
          executed(() => undefined, which),
          undefined,
          which,
        );
    });

    test('variables have the pod’s values, and no secret is written', () => {
      const set = (name: string, value: string, which?: string): string | undefined =>
        created(({ process }) => {
          process.Env = [...process.Env.filter((entry) => !entry.startsWith(`${name}=`)), `${name}=${value}`];
        }, which);
      const rule = 'create-container-environment';
      assert.equal(set('MODE', 'back'), rule);
      assert.equal(set('TIER', 'silver'), rule);
      assert.equal(set('LEVEL', 'low'), rule);
      assert.equal(set('PATH', '/tmp'), rule);
      assert.equal(set('DB_PORT', '1'), rule);
      assert.equal(set('HOSTNAME', 'other'), rule);
      assert.equal(set('ADDRESS', '$(reboot)'), rule);
      assert.equal(set('ADDRESS', 'fd00::7'), undefined);
      assert.equal(set('PASSWORD', 'whatever it is'), undefined);
      assert.equal(set('PASSWORD', 'x', 'worker'), rule);
      const service = (name: string, port = '80'): string | undefined =>
        created(({ process }) => {
          process.Env.push(
            `${name}_SERVICE_HOST=fd00::1`,
            `${name}_SERVICE_PORT=80`,
            `${name}_PORT=tcp://[fd00::1]:80`,
            `${name}_PORT_80_TCP=tcp://[fd00::1]:80`,
            `${name}_PORT_80_TCP_PROTO=tcp`,
            `${name}_PORT_80_TCP_PORT=${port}`,
            `${name}_PORT_80_TCP_ADDR=fd00::1`,
          );
        });
      assert.equal(service('CACHE'), undefined);
      assert.equal(service('CACHE', '81'), rule);
      assert.equal(set('CACHE_PORT', '/tmp/evil.so'), rule);
      assert.equal(set('CACHE_SERVICE_HOST', '10.1.2.3'), rule);
      assert.equal(set('JMX_PORT', '9999'), rule);
      assert.equal(set('LD_PRELOAD', '/tmp/evil.so'), rule);
      assert.ok(!text.includes('do-not-tell'));
      assert.ok(text.includes('"MODE=front",'));
    });

    test('mounts: options, sources, duplicates, and missing storages', () => {
      const mounts = (
        change: (row: Made['mounts'][number]) => void,
        destination: string,
      ): string | undefined =>
        created(({ mounts: list }) => {
          for (const mount of list) if (mount.destination === destination) change(mount);
        });
      const rule = 'create-container-mounts';
      assert.equal(
        mounts((mount) => mount.options.push('suid'), '/proc'),
        rule,
      );
      assert.equal(
        mounts((mount) => void (mount.options = []), '/proc'),
        rule,
      );
      assert.equal(
        mounts((mount) => mount.options.push('nsdelegate'), '/sys/fs/cgroup'),
        undefined,
      );
      assert.equal(
        mounts((mount) => mount.options.push('memory_hugetlb'), '/sys/fs/cgroup'),
        rule,
      );
      assert.equal(
        mounts((mount) => void (mount.options = ['rbind', 'rprivate', 'rw']), '/fast'),
        rule,
      );
      assert.equal(
        mounts((mount) => void (mount.options = ['rbind', 'rshared', 'ro']), '/fast'),
        rule,
      );
      assert.equal(
        mounts((mount) => void (mount.source = '/run/kata-containers/sandbox/shm'), '/etc/hosts'),
        rule,
      );
      assert.equal(
        mounts((mount) => void (mount.source += '/..'), '/scratch'),
        rule,
      );
      const twice = ({ mounts: list }: Made): void => void list.push(...list.slice(-1));
      assert.equal(created(twice), 'create-container-mounts-unique');
      const apart = 'create-container-mounts-isolated';
      const directory = '/run/kata-containers/shared/containers';
      assert.equal(
        mounts((mount) => void (mount.source = `${directory}/x/rootfs/etc`), '/etc/hosts'),
        apart,
      );
      const other = calls.find(({ method }) => method === 'CreateContainer')?.request;
      assert.ok(other !== undefined && isMessage(other, CreateContainerRequestSchema));
      assert.equal(
        mounts((mount) => void (mount.source = `${directory}/${other.containerId}`), '/etc/hosts'),
        apart,
      );
      const bare = ({ request }: Made): void => void (request.storages = []);
      assert.equal(created(bare), 'create-container-mount-storages');
    });

    test('a volume with many files is shared and not copied, and no other storage is missing or added', () => {
      if (setup.guest !== 'shared-fs') return;
      const isWatched = ({ driver }: { readonly driver: string }): boolean => driver === 'watchable-bind';
      const shared = ({ request, mounts }: Made): void => {
        request.storages = request.storages.filter((storage) => !isWatched(storage));
        for (const mount of mounts) mount.source = mount.source.replace('/watchable/', '/');
      };
      assert.equal(created(shared), undefined);
      const added = ({ request }: Made): void =>
        void request.storages.push(
          ...request.storages.filter(isWatched).map((storage) => ({
            ...storage,
            source: `${storage.source}-x`,
            mountPoint: `${storage.mountPoint}-x`,
          })),
        );
      assert.equal(created(added), 'create-container-storages-complete');
      const lost = (made: Made): void => {
        shared(made);
        made.request.storages.pop();
      };
      assert.match(created(lost) ?? '', /storages-complete|mount-storages/);
    });

    test('a volume that the guest creates has its mount point in the sandbox, and no other directory is created', () => {
      if (setup.runtime !== 'go' || setup.guest !== 'shared-fs') return;
      const moved = (to: (source: string) => string): string | undefined =>
        created(({ mounts, request }) => {
          for (const mount of mounts) if (mount.type === 'local') mount.source = to(mount.source);
          for (const row of request.storages) if (row.driver === 'local') row.mountPoint = to(row.mountPoint);
        });
      assert.equal(
        moved((source) => source),
        undefined,
      );
      const apart = 'create-container-mounts-isolated';
      assert.equal(
        moved((source) => `${source}/..`),
        'create-container-mounts',
      );
      assert.equal(
        moved((source) => `${source}/below`),
        apart,
      );
      assert.equal(
        moved((source) => source.replace('/local/scratch', '/bin')),
        apart,
      );
      assert.equal(
        moved((source) => source.replace(/[0-9a-f]{64}/, '0'.repeat(64))),
        apart,
      );
      const more = ({ request }: Made): void => {
        const local = request.storages.find(({ driver }) => driver === 'local');
        assert.ok(local !== undefined);
        request.storages.push({ ...local, mountPoint: `${local.mountPoint}2` });
      };
      assert.equal(created(more), 'create-container-local-volumes');
      const typed = ({ mounts }: Made): void => {
        for (const mount of mounts) if (mount.destination === '/etc/hosts') mount.type = 'local';
      };
      assert.equal(created(typed), 'create-container-mounts');
    });

    test('storages: options, source, group, and the image’s mount point', () => {
      const storage = (driver: string, change: (row: CreateContainerRequest['storages'][number]) => void) =>
        created(({ request }) => {
          const found = request.storages.find((row) => row.driver === driver);
          assert.ok(found !== undefined, driver);
          change(found);
        });
      const rule = 'create-container-storages';
      assert.equal(
        storage('ephemeral', (row) => row.options.push('suid')),
        rule,
      );
      assert.equal(
        storage('ephemeral', (row) => row.options.push('fsgid=2000')),
        undefined,
      );
      assert.equal(
        storage('ephemeral', (row) => void (row.source = '/dev/sda')),
        'create-container-storage-sources',
      );
      if (setup.guest !== 'confidential') return;
      assert.equal(
        storage('blk', (row) => void (row.driverOptions = ['create_filesystem'])),
        rule,
      );
      assert.equal(
        storage('blk', (row) => row.options.push('invalid=true')),
        rule,
      );
      assert.equal(
        storage('blk', (row) => void (row.source = '../sda')),
        'create-container-storage-sources',
      );
      assert.equal(
        storage('blk', ({ fsGroup }) => fsGroup && (fsGroup.groupId = 7)),
        'create-container-storage-sources',
      );
      assert.equal(
        storage(
          'image_guest_pull',
          (row) => void (row.driverOptions = ['image_guest_pull={"metadata":{"label":"of a snapshotter"}}']),
        ),
        undefined,
      );
      assert.equal(
        storage('image_guest_pull', (row) => row.driverOptions.push('image_guest_pull={}')),
        'create-container-storage-fields',
      );
      assert.equal(
        storage('image_guest_pull', (row) => void (row.mountPoint = '/run/kata-containers/other/rootfs')),
        'create-container-pulled-images',
      );
    });
  },
);
