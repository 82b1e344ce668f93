import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMessage } from '@bufbuild/protobuf';
import { CreateSandboxRequestSchema, type ExecProcessRequest } from '@kata-agent/protocol/agent';
import { describeRefusals, type Made } from './refusals.test.fixture.js';

describeRefusals(
  'changes to processes and containers that genpolicy denies are denied',
  ({ setup, refusal, created, executed }) => {
    test('the process: privileges, groups, labels, capabilities', () => {
      assert.equal(
        created(({ process }) => void (process.NoNewPrivileges = false)),
        'create-container-privileges',
      );
      assert.equal(
        created(({ process }) => void (process.NoNewPrivileges = true), 'worker'),
        'create-container-privileges',
      );
      const groups = (...gids: number[]): string | undefined =>
        created(({ process }) => process.User && (process.User.AdditionalGids = gids));
      assert.equal(groups(1000, 2000, 3000), undefined);
      assert.equal(groups(1000, 27), 'create-container-groups');
      assert.equal(groups(1000, 999), 'create-container-groups');
      assert.equal(groups(1000, 0), 'create-container-groups');
      assert.equal(groups(1000, 4000), 'create-container-groups');
      assert.equal(
        created(({ process }) => void (process.SelinuxLabel = 'a:b:c')),
        'create-container-labels',
      );
      assert.equal(
        created(({ process }) => process.User && (process.User.Username = 'root')),
        'create-container-labels',
      );
      assert.equal(
        created(({ process }) => process.Capabilities?.Ambient.push('CAP_KILL')),
        'create-container-gained-capabilities',
      );
    });

    test('the pause container is the guest’s own, whatever annotation is missing or changed', () => {
      const key = 'io.kubernetes.cri.container-type';
      const ofRuntime = 'io.katacontainers.pkg.oci.container_type';
      const isOwn = setup.guest === 'confidential';
      const changes: readonly ((annotations: Record<string, string>) => void)[] = [
        (annotations) => void delete annotations[key],
        (annotations) => {
          delete annotations[key];
          delete annotations[ofRuntime];
        },
        (annotations) => {
          delete annotations[key];
          annotations['io.kubernetes.cri-o.ContainerType'] = 'container';
        },
        (annotations) => void (annotations[key] = 'container'),
        (annotations) => void (annotations[key] = ''),
        (annotations) => void (annotations[key] = 'Sandbox'),
      ];
      for (const [index, change] of changes.entries()) {
        const denied = created(({ annotations }) => change(annotations), '');
        if (isOwn || index > 1) assert.notEqual(denied, undefined, String(index));
      }
      // A container of the pod that says that it is the sandbox's would run the pause program.
      const rule = 'create-container-annotation-values';
      assert.equal(
        created(({ annotations }) => void (annotations[key] = 'sandbox')),
        rule,
      );
      if (isOwn)
        assert.equal(
          created(({ annotations }) => void delete annotations[key]),
          rule,
        );
    });

    test('the image: a tag is the tag of the repository, and no digest of it', () => {
      const claimed = (image: string): string | undefined =>
        created(({ request, annotations }) => {
          annotations['io.kubernetes.cri.image-name'] = image;
          for (const storage of request.storages)
            if (storage.driver === 'image_guest_pull') storage.source = image;
        });
      const digest = `@sha256:${'0'.repeat(64)}`;
      assert.equal(claimed('docker.io/library/i:latest'), undefined);
      for (const name of [
        `docker.io/library/i${digest}`,
        `docker.io/library/i:latest${digest}`,
        `i${digest}`,
        'docker.io/library/i',
        'docker.io/library/i:other',
        'other.example/i:latest',
        '',
      ])
        assert.equal(claimed(name), 'create-container-images', name);
    });

    test('the container: name, command, rootfs, annotations', () => {
      assert.equal(
        created(({ annotations }) => void (annotations['io.kubernetes.cri.container-name'] = 'worker')),
        'create-container-environment',
      );
      assert.equal(
        created(({ annotations }) => void (annotations['io.kubernetes.cri.container-name'] = 'x')),
        'create-container-commands',
      );
      assert.equal(
        created(({ annotations }) => void (annotations['io.kubernetes.cri.sandbox-name'] = 'x')),
        'create-container-pods',
      );
      assert.equal(
        created(({ annotations }) => void (annotations['org.systemd.property.X'] = '1')),
        'create-container-annotations',
      );
      assert.equal(
        created(({ annotations }) => void (annotations['example/own'] = 'yes')),
        undefined,
      );
      assert.equal(
        created(({ process }) => void (process.Args = ['/pause'])),
        'create-container-commands',
      );
      assert.equal(
        created(({ root }) => void (root.Readonly = false)),
        'create-container-roots',
      );
      assert.equal(
        created(({ root }) => void (root.Path = '/run/kata-containers/other/rootfs')),
        'create-container-root-paths',
      );
      // In a volume that another container reads and writes.
      for (const directory of [
        'shared/containers/volume',
        'sandbox/ephemeral/volume',
        'shared/containers/a/b',
      ])
        assert.equal(
          created(({ request, root }) => {
            root.Path = `/run/kata-containers/${directory}/${request.containerId}/rootfs`;
          }),
          'create-container-root-paths',
        );
      assert.equal(
        created(({ request }) => request.OCI && (request.OCI.Hostname = 'other'), ''),
        'create-container-pods',
      );
      assert.equal(
        refusal('CreateSandbox', (request) => {
          assert.ok(isMessage(request, CreateSandboxRequestSchema));
          request.hostname = 'other';
        }),
        'create-sandbox-host-names',
      );
    });

    test('the kernel: sysctls, namespaces, masked paths', () => {
      const rule = 'create-container-namespaces';
      assert.equal(
        created(({ linux }) => void (linux.Sysctl['kernel.msgmax'] = '1')),
        'create-container-sysctls',
      );
      assert.equal(
        created(({ linux }) => void (linux.Sysctl['net.ipv4.ip_forward'] = '0')),
        'create-container-sysctls',
      );
      assert.equal(
        created(({ linux }) => void linux.Namespaces.shift()),
        rule,
      );
      assert.equal(
        created(
          ({
            linux: {
              Namespaces: [first],
            },
          }) => first && (first.Path = '/proc/1/ns/ipc'),
        ),
        rule,
      );
      const network = ({ linux }: Made): void => {
        const [first] = linux.Namespaces;
        if (first !== undefined) linux.Namespaces.push({ ...first, Type: 'network' });
      };
      assert.equal(created(network), rule);
      const hidden = 'create-container-masked-paths';
      assert.equal(
        created(({ linux }) => void linux.MaskedPaths.pop()),
        hidden,
      );
      assert.equal(
        created(({ linux }) => void linux.ReadonlyPaths.pop()),
        hidden,
      );
      assert.equal(
        created(({ linux }) => void linux.MaskedPaths.push(linux.ReadonlyPaths.pop() ?? '')),
        undefined,
      );
      assert.equal(
        created(({ linux }) => void (linux.RootfsPropagation = 'rshared')),
        'create-container-unused-fields',
      );
    });

    test('execs: container, user, command', () => {
      const args =
        (command: string): ((request: ExecProcessRequest) => void) =>
        (request) => {
          if (request.process !== undefined) request.process.Args = [command];
        };
      assert.equal(executed(args('check-worker')), 'exec-process-commands');
      assert.equal(executed(args('check-web'), 'worker'), 'exec-process-commands');
      assert.equal(
        executed((request) => void (request.containerId = 'nobody')),
        'exec-process-commands',
      );
      const process = (
        change: (process: NonNullable<ExecProcessRequest['process']>) => void,
      ): string | undefined => executed((request) => request.process && change(request.process));
      assert.equal(
        process((own) => void (own.NoNewPrivileges = false)),
        'exec-process-privileges',
      );
      assert.equal(
        process((own) => void (own.SelinuxLabel = 'a:b:c')),
        'exec-process-labels',
      );
      assert.equal(
        process((own) => void (own.ApparmorProfile = 'other')),
        'exec-process-labels',
      );
      assert.equal(
        process((own) => void (own.Cwd = '/tmp')),
        'exec-process-directories',
      );
      assert.equal(
        process((own) => void (own.Terminal = true)),
        'exec-process-terminals',
      );
      assert.equal(
        process((own) => void own.Env.push('MORE=1')),
        'exec-process-environment',
      );
      assert.equal(
        process((own) => own.User && (own.User.AdditionalGids = [0])),
        'exec-process-groups',
      );
      assert.equal(
        executed((request) => void Object.assign(request, { stringUser: { uid: '0', gid: '0' } })),
        'exec-process-labels',
      );
    });
  },
);

describeRefusals(
  'a pod with users of its own',
  ({ created }) => {
    test('its containers have the users that the kubelet gives to pods, and no others', () => {
      const change =
        (list: 'UIDMappings' | 'GIDMappings', values: object): ((made: Made) => void) =>
        ({ linux }) =>
          void (linux[list] = linux[list].map((each) => ({ ...each, ...values })));
      for (const list of ['UIDMappings', 'GIDMappings'] as const) {
        assert.equal(created(change(list, { HostID: 65_536 })), undefined);
        const rule = 'create-container-unused-fields';
        // The guest's root, and a user of the guest's own.
        for (const wrong of [{ HostID: 0 }, { HostID: 1000 }, { ContainerID: 1 }, { Size: 1 }])
          assert.equal(created(change(list, wrong)), rule, JSON.stringify(wrong));
        assert.equal(created(change(list, { HostID: 0 }), ''), rule);
        assert.equal(
          created(({ linux }) => void linux[list].splice(0)),
          rule,
        );
        assert.equal(
          created(({ linux }) => void (linux[list] = linux[list].flatMap((each) => [each, each]))),
          rule,
        );
      }
      assert.equal(
        created(
          ({ linux }) => void (linux.Namespaces = linux.Namespaces.filter(({ Type }) => Type !== 'user')),
        ),
        'create-container-namespaces',
      );
    });
  },
  {
    pod: `kind: Pod
metadata: { name: own }
spec: { hostUsers: false, containers: [{ name: web, image: i, command: [run] }] }
`,
  },
);
