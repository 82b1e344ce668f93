import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { WorkloadError } from './field.js';
import { annotatePods } from './pod-annotation.js';
import { readManifests } from './read-workloads.js';

const key = 'example.org/key';

function set(
  text: string,
  values: readonly (string | undefined)[] = ['VALUE='],
  templates: readonly string[] = [],
): string {
  return annotatePods({ file: 'pod.yaml', text }, { key, templates, values });
}

const spec = 'spec: {containers: [{name: a, image: a}]}\n';

for (const [name, before, after] of [
  [
    'annotations that there are',
    `kind: Pod\nmetadata:\n  name: a # the name\n  annotations:\n    # why\n    x: y\n${spec}`,
    `kind: Pod\nmetadata:\n  name: a # the name\n  annotations:\n    ${key}: VALUE=\n    # why\n    x: y\n${spec}`,
  ],
  [
    'no annotations',
    `kind: Pod\nmetadata: # of the pod\n  # its name\n  name: a\n${spec}`,
    `kind: Pod\nmetadata: # of the pod\n  annotations:\n    ${key}: VALUE=\n  # its name\n  name: a\n${spec}`,
  ],
  ['no metadata', `kind: Pod\n${spec}`, `metadata:\n  annotations:\n    ${key}: VALUE=\nkind: Pod\n${spec}`],
  [
    'a template without metadata',
    `kind: Job\nmetadata: {name: j}\nspec:\n    template:\n        spec: {containers: [{name: a, image: a}]}\n`,
    `kind: Job\nmetadata: {name: j}\nspec:\n    template:\n        metadata:\n          annotations:\n            ${key}: VALUE=\n        spec: {containers: [{name: a, image: a}]}\n`,
  ],
  [
    'a flow mapping',
    `kind: Pod\nmetadata: {name: a}\n${spec}`,
    `kind: Pod\nmetadata: {"annotations": {"${key}": "VALUE="}, name: a}\n${spec}`,
  ],
  [
    'an empty flow mapping',
    `kind: Pod\nmetadata:\n  annotations: {}\n${spec}`,
    `kind: Pod\nmetadata:\n  annotations: {"${key}": "VALUE="}\n${spec}`,
  ],
  [
    'annotations without a value',
    `kind: Pod\nmetadata:\n  annotations: # none\n  name: a\n${spec}`,
    `kind: Pod\nmetadata:\n  annotations: {"${key}": "VALUE="} # none\n  name: a\n${spec}`,
  ],
  [
    'null annotations',
    `kind: Pod\nmetadata: {annotations: null}\n${spec}`,
    `kind: Pod\nmetadata: {annotations: {"${key}": "VALUE="}}\n${spec}`,
  ],
  [
    'JSON',
    `{"kind": "Pod", "metadata": {"name": "a", "annotations": {"x": "y"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}`,
    `{"kind": "Pod", "metadata": {"name": "a", "annotations": {"${key}": "VALUE=", "x": "y"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}`,
  ],
  [
    'an older value',
    `kind: Pod\nmetadata:\n  annotations:\n    ${key}: OLD # keep\n${spec}`,
    `kind: Pod\nmetadata:\n  annotations:\n    ${key}: VALUE= # keep\n${spec}`,
  ],
  [
    'an older value in quotes',
    `kind: Pod\nmetadata: {annotations: {"${key}": "OLD"}}\n${spec}`,
    `kind: Pod\nmetadata: {annotations: {"${key}": "VALUE="}}\n${spec}`,
  ],
  [
    'an older value of lines',
    `kind: Pod\nmetadata:\n  annotations:\n    ${key}: >-\n      OLD\n      AGAIN\n    x: y\n${spec}`,
    `kind: Pod\nmetadata:\n  annotations:\n    ${key}: VALUE=\n    x: y\n${spec}`,
  ],
  [
    'an empty older value',
    `kind: Pod\nmetadata:\n  annotations:\n    ${key}:\n    x: y\n${spec}`,
    `kind: Pod\nmetadata:\n  annotations:\n    ${key}: VALUE=\n    x: y\n${spec}`,
  ],
  [
    'lines with CR and LF',
    `kind: Pod\r\nmetadata:\r\n  name: a\r\nspec:\r\n  containers: [{name: a, image: a}]\r\n`,
    `kind: Pod\r\nmetadata:\r\n  annotations:\r\n    ${key}: VALUE=\r\n  name: a\r\nspec:\r\n  containers: [{name: a, image: a}]\r\n`,
  ],
  [
    'an element of a list',
    `kind: List\nitems:\n- kind: Pod\n  metadata:\n    name: a\n  spec: {containers: [{name: a, image: a}]}\n`,
    `kind: List\nitems:\n- kind: Pod\n  metadata:\n    annotations:\n      ${key}: VALUE=\n    name: a\n  spec: {containers: [{name: a, image: a}]}\n`,
  ],
] as const)
  test(`the annotation is the only change: ${name}`, () => {
    assert.equal(set(before), after);
    assert.equal(set(after), after, 'again');
    const [workload] = readManifests([{ file: 'pod.yaml', text: after }]).workloads;
    assert.equal(workload?.annotations.get(key), 'VALUE=');
  });

test('each workload of a file gets its own value, in the order of readManifests, or none', () => {
  const pod = (name: string): string => `kind: Pod\nmetadata:\n  name: ${name}\n${spec}`;
  const text = `${pod('a')}---\nkind: ConfigMap\nmetadata: {name: m}\n---\n${pod('b')}---\n${pod('c')}`;
  const changed = set(text, ['A', undefined, 'C']);
  const names = parseAllDocuments(changed).map((document) => {
    const { metadata } = document.toJS() as {
      metadata: { name: string; annotations?: Record<string, string> };
    };
    return [metadata.name, metadata.annotations?.[key]];
  });
  assert.deepEqual(names, [
    ['a', 'A'],
    ['m', undefined],
    ['b', undefined],
    ['c', 'C'],
  ]);
});

test('a template at a given path is annotated', () => {
  const rollout = `kind: Rollout\nspec:\n  template:\n    metadata:\n      labels: {a: b}\n    ${spec}`;
  assert.match(
    set(rollout, ['V'], ['spec.template']),
    new RegExp(`\n      annotations:\n        ${key}: V\n`),
  );
});

test('metadata that is an alias or merged is refused with its place', () => {
  const base = `kind: Pod\nmetadata: &m\n  name: a\n${spec}---\n`;
  for (const text of [
    `kind: List\nitems:\n- kind: Pod\n  metadata: &m {name: a}\n  spec: &s {containers: [{name: a, image: a}]}\n- kind: Pod\n  metadata: *m\n  spec: *s\n`,
    `kind: Deployment\nbase: &t\n  metadata: {annotations: {x: y}}\n  ${spec}spec:\n  template: *t\n`,
    `kind: Deployment\nbase: &t\n  metadata: {annotations: {x: y}}\n  ${spec}spec:\n  template:\n    <<: *t\n    other: 1\n`,
  ])
    assert.throws(
      () => set(text, ['V', 'W']),
      (error) =>
        error instanceof WorkloadError &&
        /^pod\.yaml:\d+:\d+: the pod cannot be annotated: /.test(error.message),
      text,
    );
  assert.ok(set(base, ['V']).includes(`${key}: V`));
});
