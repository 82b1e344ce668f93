import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, isMessage, type Message } from '@bufbuild/protobuf';
import { SignalProcessRequestSchema } from '@kata-agent/protocol/agent';
import { readWorkloads, type RuntimeSetup } from '@kata-agent/workloads';
import { renderPlan } from '../write/render-plan.js';
import { generate } from './generate.js';
import { describeRefusals } from './refusals.test.fixture.js';

// Pods that a first version of profiles decided otherwise than rules written out do.

const shared: readonly RuntimeSetup[] = [
  { runtime: 'go', guest: 'shared-fs' },
  { runtime: 'rs', guest: 'shared-fs' },
];

/** @param container members of the container `web`, and of the pod after them */
function pod(container: string, more = ''): string {
  return `kind: Pod
metadata: { name: web }
spec:
  containers:
    - name: web
      image: i
      command: [sleep, "1"]
${container.replaceAll(/^/gm, '      ')}
${more.replaceAll(/^/gm, '  ')}
`;
}

describeRefusals(
  'words of the pod after an unknown entrypoint are the last ones, and a profile has them as values',
  ({ created, text }) => {
    const runs = (...args: readonly string[]): string | undefined =>
      created(({ process }) => {
        process.Args = [...args];
      });
    test('as the pod has it, and changed', () => {
      assert.equal(runs('/bin/server', '--port', '80'), undefined);
      assert.equal(runs('/bin/server', '--log', '--port', '80'), undefined);
      assert.equal(runs('--port', '80'), undefined);
      for (const other of [
        [],
        ['80'],
        ['/bin/server'],
        ['/bin/server', '--port', '81'],
        ['/bin/server', '80', '--port'],
        ['/bin/server', '--port', '80', ''],
        ['/bin/server', '--port 80'],
      ])
        assert.equal(runs(...other), 'create-container-commands', other.join(' '));
    });
    test('as values', () => {
      if (text.includes('profile = ')) assert.match(text, /^last_args = \["--port", "80"\]$/m);
    });
  },
  {
    pod: `kind: Pod
metadata: { name: web }
spec:
  containers:
    - { name: web, image: unknown, args: ["--port", "80"] }
`,
  },
);

describeRefusals(
  "a volume at an engine's mount point is the pod's, and not the file of the host",
  ({ created, setup }) => {
    const shares = (name: string): string | undefined =>
      created(({ mounts }) => {
        for (const mount of mounts)
          if (mount.destination === '/etc/hosts')
            mount.source = `/run/kata-containers/shared/containers/passthrough/sandbox-0a1b2c3d-${name}`;
      });
    test('as the pod has it, and changed', () => {
      assert.equal(
        created(() => undefined),
        undefined,
      );
      if (setup.runtime !== 'rs') return;
      assert.equal(shares('x'), undefined);
      assert.equal(shares('etc-hosts'), 'create-container-file-sources');
    });
  },
  {
    of: shared,
    pod: pod(
      'volumeMounts: [{ name: p, mountPath: /etc/hosts }]',
      'volumes: [{ name: p, hostPath: { path: /srv/x } }]',
    ),
  },
);

describeRefusals(
  'a HOSTNAME that the pod takes from a field has the value of the field',
  ({ created }) => {
    test('as the pod has it, and changed', () => {
      assert.equal(
        created(() => undefined),
        undefined,
      );
      const named = created(({ process }) => {
        process.Env = process.Env.map((entry) => (entry.startsWith('HOSTNAME=') ? 'HOSTNAME=web' : entry));
      });
      assert.equal(named, 'create-container-environment');
    });
  },
  { pod: pod('env: [{ name: HOSTNAME, valueFrom: { fieldRef: { fieldPath: status.podIP } } }]') },
);

describeRefusals(
  'an option of a storage that can be missing is not an option of its driver',
  ({ created }) => {
    test('as the pod has it, and changed', () => {
      assert.equal(
        created(() => undefined),
        undefined,
      );
      const moved = created(({ request }) => {
        for (const storage of request.storages)
          if (storage.driver === 'ephemeral') storage.driverOptions = ['fsgid=2000'];
      });
      assert.equal(moved, 'create-container-storages');
    });
  },
  {
    pod: pod(
      'volumeMounts: [{ name: m, mountPath: /m }]',
      'securityContext: { runAsUser: 1, runAsGroup: 1, fsGroup: 2000 }\nvolumes: [{ name: m, emptyDir: { medium: Memory } }]',
    ),
  },
);

describeRefusals(
  'every signal that stops an image without a configuration is allowed',
  ({ refusal }) => {
    test('as the pod has it, and changed', () => {
      const change = (request: Message): void => {
        assert.ok(isMessage(request, SignalProcessRequestSchema));
        Object.assign(request, create(SignalProcessRequestSchema, { ...request, signal: 15 }));
      };
      assert.equal(refusal('SignalProcess', change), undefined);
    });
  },
  { pod: pod('').replace('image: i', 'image: docker.io/library/other:1') },
);

const many = Array.from(
  { length: 500 },
  (_, index) => `{ name: V${index}, value: "${index} ${'x'.repeat(40)}" }`,
).join(', ');

describeRefusals(
  'five hundred variables are compared within the steps of a rule',
  ({ created }) => {
    test('as the pod has it, and changed', () => {
      assert.equal(
        created(() => undefined),
        undefined,
      );
      const without = created(({ process }) => {
        process.Env = process.Env.filter((entry) => !entry.startsWith('V7='));
      });
      assert.match(without ?? '', /^create-container-environment-complete/);
    });
  },
  { pod: pod(`env: [${many}]`) },
);

const unknown = 'image: docker.io/library/other:1';

describeRefusals(
  'an image without a configuration opens what it declares, and no field of the pod',
  ({ created, text }) => {
    test('as the pod has it, and changed', () => {
      if (text.includes('profile = ')) assert.doesNotMatch(text, /^profile_except/m);
      const opened = created(({ process }) => {
        process.Args = ['/other'];
        process.Cwd = '/other';
        process.Env.push('OTHER=1');
        Object.assign(process.User ?? {}, { UID: 7, GID: 8, AdditionalGids: [9] });
      });
      assert.equal(opened, undefined);
      for (const [entry, rule] of [
        ['MODE=other', 'create-container-environment'],
        ['HOSTNAME=other', 'create-container-environment'],
        ['KUBERNETES_SERVICE_HOST=evil', 'create-container-environment'],
      ] as const) {
        const [name = ''] = entry.split('=');
        const denied = created(({ process }) => {
          process.Env = [...process.Env.filter((each) => !each.startsWith(`${name}=`)), entry];
        });
        assert.equal(denied, rule, entry);
      }
      const relative = created(({ process }) => void (process.Cwd = 'other'));
      assert.equal(relative, 'create-container-directories');
    });
  },
  {
    pod: pod('env: [{ name: MODE, value: front }]')
      .replace('image: i', unknown)
      .replace('      command: [sleep, "1"]\n', ''),
  },
);

describeRefusals(
  'a user whose group the image has, a group of the pod, a directory and a variable that are called "*"',
  ({ created, executed }) => {
    test('as the pod has it, and changed', () => {
      const group = created(({ process }) => {
        Object.assign(process.User ?? {}, { UID: 7, GID: 8, AdditionalGids: [8, 3000] });
      });
      assert.equal(group, undefined);
      const other = created(({ process }) => {
        Object.assign(process.User ?? {}, { UID: 6 });
      });
      assert.equal(other, 'create-container-users');
      const more = created(({ process }) => {
        Object.assign(process.User ?? {}, { UID: 7, GID: 8, AdditionalGids: [9] });
      });
      assert.equal(more, 'create-container-groups');
      assert.equal(
        created(({ process }) => void (process.Cwd = '/')),
        'create-container-directories',
      );
      const variable = created(({ process }) => void process.Env.push('OTHER=1'));
      assert.equal(variable, 'create-container-environment');
      assert.equal(
        executed((request) => void request.process?.Env.push('OTHER=1')),
        'exec-process-environment',
      );
    });
  },
  {
    pod: pod(
      `securityContext: { runAsUser: 7 }
workingDir: "*"
env: [{ name: "*", valueFrom: { secretKeyRef: { name: s, key: k } } }]
livenessProbe: { exec: { command: [check] } }`,
      'securityContext: { supplementalGroups: [3000] }',
    ),
  },
);

describeRefusals(
  'five hundred variables, and an image that may have more',
  ({ created }) => {
    test('as the pod has it, and changed', () => {
      const more = created(({ process }) => void process.Env.push('OTHER=1'));
      assert.equal(more, undefined);
      const changed = created(({ process }) => {
        process.Env = process.Env.map((entry) => (entry.startsWith('V7=') ? 'V7=' : entry));
      });
      assert.match(changed ?? '', /^create-container-environment/);
    });
  },
  { pod: pod(`env: [${many}]`).replace('image: i', unknown) },
);

test('a document with a profile has no text that TOML refuses', () => {
  const workloads = readWorkloads([{ file: 'p.yaml', text: pod('env: [{ name: A, value: "\\uD800" }]') }]);
  const setup = { runtime: 'rs', guest: 'shared-fs' } as const;
  const text = renderPlan(generate(workloads, { setup, images: new Map() }), []);
  assert.match(text, /"A=\ufffd"/);
});
