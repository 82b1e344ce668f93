import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkloadError } from './field.js';
import { readWorkloads } from './read-workloads.js';

const pod = (rest: string): string =>
  `kind: Pod\nmetadata: { name: p }\nspec:\n  containers:\n    - name: c\n      image: i\n${rest}`;

function read(text: string): ReturnType<typeof readWorkloads> {
  return readWorkloads([{ file: 'pod.yaml', text }]);
}

test('every mistake has its place', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['kind: Service\n', /^pod\.yaml: there is no workload in it: no Pod, Deployment,/],
    ['', /^pod\.yaml: there is no workload/],
    ['kind: Pod\n', /^pod\.yaml:1:1: spec is missing$/],
    ['kind: Pod\nspec: {}\n', /^pod\.yaml:2:7: containers is missing$/],
    ['kind: Pod\nspec:\n  containers: 7\n', /^pod\.yaml:3:15: spec\.containers has to be a list$/],
    ['kind: Pod\nspec:\n  containers:\n    - image: i\n', /^pod\.yaml:4:7: name is missing$/],
    [pod('      tty: "yes"\n'), /^pod\.yaml:7:12: spec\.containers\[0\]\.tty has to be true or false$/],
    [
      pod('      env: [{ name: 7 }]\n'),
      /^pod\.yaml:7:21: spec\.containers\[0\]\.env\[0\]\.name has to be text$/,
    ],
    [
      pod('      securityContext: { runAsUser: -1 }\n'),
      /^pod\.yaml:7:37: .*runAsUser has to be a whole number$/,
    ],
    [pod('      volumeMounts: [{ name: v, mountPath: /v }]\n'), /volumeMounts\[0\]: there is no volume "v"$/],
    [pod('      comand: [sh]\n'), /^pod\.yaml:7:15: spec\.containers\[0\]\.comand is no field.*"command"\?$/],
    [pod('      env: [{ name: A, valeu: b }]\n'), /env\[0\]\.valeu is no field .*"value"\?$/],
    [pod('      securityContext: { runAsuser: 7 }\n'), /runAsuser is no field .*"runAsUser"\?$/],
    [pod('  servicAccountName: s\n'), /^pod\.yaml:7:22: spec\.servicAccountName .*"serviceAccountName"\?$/],
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

test('several documents, lists, JSON, and kinds that are none of ours', () => {
  assert.equal(read(`${pod('')}---\nkind: Service\n---\n${pod('')}`).length, 2);
  const list = {
    kind: 'PodList',
    items: [{ kind: 'Pod', spec: { containers: [{ name: 'c', image: 'i' }] } }],
  };
  assert.equal(read(JSON.stringify(list)).length, 1);
});

test('a bomb of aliases is refused', () => {
  const levels = Array.from(
    { length: 12 },
    (_, index) => `a${index + 1}: &a${index + 1} [${`*a${index}, `.repeat(9)}]`,
  );
  const text = `a0: &a0 [x]\n${levels.join('\n')}\n${pod('')}`;
  assert.throws(() => read(text), WorkloadError);
});

test('what is not looked at is said', () => {
  const [workload] = read(pod('  hostNetwork: true\n'));
  assert.match(workload?.notes.join() ?? '', /hostNetwork/);
  const [later] = read(pod('  quantumEntanglement: true\n'));
  assert.deepEqual(later?.notes, ['spec.quantumEntanglement is not known and not looked at']);
});

test('the keys of ConfigMaps and Secrets in other files are known', () => {
  const map = { file: 'map.yaml', text: 'kind: ConfigMap\nmetadata: { name: m }\ndata: { A: a, B: b }\n' };
  const [workload] = readWorkloads([{ file: 'pod.yaml', text: pod('') }, map]);
  assert.deepEqual(workload?.keys.get('ConfigMap/m'), ['A', 'B']);
});
