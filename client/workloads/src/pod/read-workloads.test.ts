import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkloadError } from './field.js';
import { passedOverText } from './pod-templates.js';
import { readManifests, readWorkloads } from './read-workloads.js';

const pod = (rest: string): string =>
  `kind: Pod\nmetadata: { name: p }\nspec:\n  containers:\n    - name: c\n      image: i\n${rest}`;

function read(text: string): ReturnType<typeof readWorkloads> {
  return readWorkloads([{ file: 'pod.yaml', text }]);
}

test('every error has its position', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['kind: Service\n', /^pod\.yaml: no workload found: no Pod, Deployment,/],
    ['', /^pod\.yaml: no workload found/],
    ['kind: Pod\n', /^pod\.yaml:1:1: spec is missing$/],
    ['kind: Pod\nspec: {}\n', /^pod\.yaml:2:7: containers is missing$/],
    ['kind: Pod\nspec:\n  containers: 7\n', /^pod\.yaml:3:15: spec\.containers must be a list$/],
    ['kind: Pod\nspec:\n  containers:\n    - image: i\n', /^pod\.yaml:4:7: name is missing$/],
    [pod('      tty: "yes"\n'), /^pod\.yaml:7:12: spec\.containers\[0\]\.tty must be true or false$/],
    [
      pod('      env: [{ name: 7 }]\n'),
      /^pod\.yaml:7:21: spec\.containers\[0\]\.env\[0\]\.name must be text$/,
    ],
    [
      pod('      securityContext: { runAsUser: -1 }\n'),
      /^pod\.yaml:7:37: .*runAsUser must be a whole number$/,
    ],
    [pod('      volumeMounts: [{ name: v, mountPath: /v }]\n'), /volumeMounts\[0\]: unknown volume "v"$/],
    [
      pod('    - { name: c, image: j }\n'),
      /^pod\.yaml:7:15: spec\.containers\[1\]\.name: "c" is the name of spec\.containers\[0\]: choose another$/,
    ],
    [
      pod('  initContainers:\n    - { name: c, image: j }\n'),
      /^pod\.yaml:5:13: spec\.containers\[0\]\.name: "c" is the name of spec\.initContainers\[0\]: choose another$/,
    ],
    [
      pod('  volumes: [{ name: v, emptyDir: {} }, { name: v, configMap: { name: m } }]\n'),
      /^pod\.yaml:7:48: spec\.volumes\[1\]\.name: "v" is the name of spec\.volumes\[0\]: choose another$/,
    ],
    [
      pod('      comand: [sh]\n'),
      /^pod\.yaml:7:15: unknown field spec\.containers\[0\]\.comand: .*"command"\?$/,
    ],
    [pod('      env: [{ name: A, valeu: b }]\n'), /unknown field .*env\[0\]\.valeu: .*"value"\?$/],
    [pod('      securityContext: { runAsuser: 7 }\n'), /runAsuser: .*"runAsUser"\?$/],
    [
      pod('  servicAccountName: s\n'),
      /^pod\.yaml:7:22: unknown field spec\.servicAccountName: .*"serviceAccountName"\?$/,
    ],
    ['kind: Pod\nkind: Pod\n', /^pod\.yaml:2:1: .*unique/],
    ['kind: [\n', /^pod\.yaml:\d+:\d+: /],
    [`a: &a [x]\n${pod('')}b: *nobody\n`, /^pod\.yaml: Unresolved alias.*nobody/],
  ];
  for (const [text, message] of wrong) {
    assert.throws(
      () => read(text),
      (error) => error instanceof WorkloadError && message.test(error.message),
      text,
    );
  }
});

test('several documents, lists, JSON, and kinds without pods', () => {
  assert.equal(read(`${pod('')}---\nkind: Service\n---\n${pod('')}`).length, 2);
  const list = {
    kind: 'PodList',
    items: [{ kind: 'Pod', spec: { containers: [{ name: 'c', image: 'i' }] } }],
  };
  assert.equal(read(JSON.stringify(list)).length, 1);
});

test('an alias bomb is rejected', () => {
  const levels = Array.from(
    { length: 12 },
    (_, index) => `a${index + 1}: &a${index + 1} [${`*a${index}, `.repeat(9)}]`,
  );
  const text = `a0: &a0 [x]\n${levels.join('\n')}\n${pod('')}`;
  assert.throws(() => read(text), WorkloadError);
});

test('ignored fields are reported', () => {
  const [later] = read(pod('  quantumEntanglement: true\n'));
  assert.deepEqual(later?.notes, ['unknown field spec.quantumEntanglement: ignored']);
});

test('fields that Kata does not serve, or whose requests are not known, are named', () => {
  const fields: Readonly<Record<string, string>> = {
    hostNetwork: '  hostNetwork: true\n',
    os: '  os: { name: windows }\n',
    ephemeralContainers: '  ephemeralContainers: [{ name: d, image: i }]\n',
    resourceClaims: '  resourceClaims: [{ name: gpu, resourceClaimName: g }]\n',
    medium: '  volumes: [{ name: v, emptyDir: { medium: HugePages-2Mi } }]\n',
  };
  for (const [name, text] of Object.entries(fields)) {
    const [workload] = read(pod(text));
    assert.deepEqual(
      workload?.unserved.map((each) => each.name),
      [name],
    );
  }
  const [workload] = read(
    pod(
      '  hostNetwork: false\n  os: { name: linux }\n  ephemeralContainers: []\n  volumes: [{ name: v, emptyDir: { medium: Memory } }]\n',
    ),
  );
  assert.deepEqual(workload?.unserved, []);
});

test('a seccomp profile that Kata would not remove is named', () => {
  const named = (disabled: string, type: string): readonly string[] =>
    read(
      `kind: Pod
metadata: { name: p, annotations: { io.katacontainers.config.runtime.disable_guest_seccomp: "${disabled}" } }
spec: { containers: [{ name: c, image: i, securityContext: { seccompProfile: { type: ${type} } } }] }
`,
    ).flatMap(({ unserved }) => unserved.map(({ path }) => path));
  assert.deepEqual(named('false', 'RuntimeDefault'), ['spec.containers[0].securityContext.seccompProfile']);
  assert.deepEqual([...named('true', 'RuntimeDefault'), ...named('false', 'Unconfined')], []);
});

test('the process namespace of the node is that of the pod, as with Kata, and that is said', () => {
  const [workload] = read(pod('  hostPID: true\n  hostIPC: true\n  hostUsers: false\n'));
  assert.deepEqual([workload?.sharesProcesses, workload?.hostIpc, workload?.ownUsers], [true, true, true]);
  assert.match(workload?.notes.join() ?? '', /^spec\.hostPID: .*processes of the pod.*spec\.hostIPC: /);
  const [other] = read(pod('  hostPID: false\n  hostUsers: true\n'));
  assert.deepEqual([other?.sharesProcesses, other?.ownUsers, other?.notes], [false, false, []]);
});

test('the keys of ConfigMaps and Secrets in other files are known', () => {
  const map = { file: 'map.yaml', text: 'kind: ConfigMap\nmetadata: { name: m }\ndata: { A: a, B: b }\n' };
  const [workload] = readWorkloads([{ file: 'pod.yaml', text: pod('') }, map]);
  assert.deepEqual(workload?.keys.get('ConfigMap/m'), ['A', 'B']);
});

const rollout = `kind: Rollout
metadata: { name: web }
spec:
  strategy: { canary: { steps: [{ setWeight: 20 }] } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: c, image: i }] }
`;

test('an object of another kind with a pod template is passed over, or read if the path of the template is named', () => {
  const both = `${pod('')}---\n${rollout}---\nkind: Service\nspec: { ports: [{ port: 80 }] }\n`;
  const files = [{ file: 'pod.yaml', text: both }];
  const { workloads, passedOver } = readManifests(files);
  assert.deepEqual(
    workloads.map(({ kind }) => kind),
    ['Pod'],
  );
  assert.deepEqual(passedOver.map(passedOverText), [
    'pod.yaml:8:1: Rollout web is skipped, and has a pod template: --pod-template spec.template',
  ]);
  const named = readManifests(files, { templates: ['spec.template'] });
  assert.deepEqual(named.passedOver, []);
  assert.deepEqual(
    named.workloads.map(({ kind, name, path, labels, namesPods }) => ({
      kind,
      name,
      path,
      labels: Object.fromEntries(labels),
      namesPods,
    })),
    [
      { kind: 'Pod', name: 'p', path: 'spec', labels: {}, namesPods: false },
      { kind: 'Rollout', name: 'web', path: 'spec.template.spec', labels: { app: 'web' }, namesPods: true },
    ],
  );
  assert.throws(
    () => read(rollout),
    /no workload found: .*; pod\.yaml:1:1: Rollout web .*--pod-template spec\.template$/,
  );
});

test('pod templates are found at any depth, and what only looks like one is none', () => {
  const template = '{ spec: { containers: [{ name: c, image: i }] } }';
  const text = `${pod('')}---
kind: TrainJob
metadata: { name: t }
spec:
  replicas: { Master: { template: ${template} }, Worker: { template: ${template} } }
  list: [{ podTemplate: ${template} }]
---
kind: Prometheus
spec: { containers: [{ name: sidecar, image: i }], other: { spec: { containers: 7 } }, none: null }
`;
  const { passedOver } = readManifests([{ file: 'pod.yaml', text }]);
  assert.deepEqual(
    passedOver.map(({ kind, templates }) => [kind, ...templates]),
    [
      [
        'TrainJob',
        'spec.replicas.Master.template',
        'spec.replicas.Worker.template',
        'spec.list[0].podTemplate',
      ],
    ],
  );
});

test('a claim template takes the place of a volume of its name, as Kubernetes does', () => {
  const [workload] = read(
    'kind: StatefulSet\nspec:\n  volumeClaimTemplates: [{ metadata: { name: v } }]\n  template:\n    spec:\n' +
      '      volumes: [{ name: v, emptyDir: {} }]\n      containers: [{ name: c, image: i }]\n',
  );
  assert.equal(workload?.volumes.get('v')?.kind, 'persistentVolumeClaim');
});

test('anchors and merge keys are read as Kubernetes does', () => {
  const [workload] = read(`kind: Pod
metadata: { name: p }
spec:
  containers:
    - &base { name: one, image: i, securityContext: &own { runAsUser: 7 } }
    - { <<: *base, name: two }
    - { name: three, image: j, securityContext: { <<: *own, privileged: true } }
`);
  assert.deepEqual(
    workload?.containers.map(({ name, image, user, privileged }) => [name, image, user, privileged]),
    [
      ['one', 'i', 7, false],
      ['two', 'i', 7, false],
      ['three', 'j', 7, true],
    ],
  );
});

test('a name that the API server refuses is named', () => {
  const reasons = (name: string): readonly string[] =>
    read(
      `kind: Pod\nmetadata: { name: ${JSON.stringify(name)} }\nspec: { containers: [{ name: c, image: i }] }\n`,
    )
      .flatMap(({ unserved }) => unserved)
      .map(({ path, reason }) => `${path}: ${reason}`);
  for (const name of ['a', 'web-1.example', 'x'.repeat(253)]) assert.deepEqual(reasons(name), [], name);
  for (const name of ['${APP}', '-a', 'a-', 'A', 'a_b', '', 'x'.repeat(254)])
    assert.deepEqual(
      reasons(name),
      [`metadata.name: ${JSON.stringify(name)} is no name of an object: the API server refuses it`],
      name,
    );
});
