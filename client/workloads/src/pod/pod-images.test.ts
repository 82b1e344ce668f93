import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkloadError } from './field.js';
import { pinImages, readImages } from './pod-images.js';

const nginx = `sha256:${'1'.repeat(64)}`;
const busybox = `sha256:${'2'.repeat(64)}`;
const digests = new Map([
  ['nginx:1.27', nginx],
  ['busybox', busybox],
]);

const pin = (text: string, templates: readonly string[] = []): string =>
  pinImages({ file: 'pod.yaml', text }, { templates, digests });

const containers = (...images: readonly string[]): string =>
  `[${images.map((image, index) => `{name: c${index}, image: ${image}}`).join(', ')}]`;

for (const [name, before, after] of [
  [
    'of containers of each kind and of volumes',
    `kind: Pod # keep\nspec:\n  initContainers: ${containers('busybox')}\n  containers:\n  - image:   nginx:1.27   # keep\n    name: a\n  ephemeralContainers: ${containers('nginx:1.27')}\n  volumes:\n  - {name: v, image: {reference: busybox, pullPolicy: Always}}\n  - {name: w, emptyDir: {}}\n`,
    `kind: Pod # keep\nspec:\n  initContainers: ${containers(`busybox@${busybox}`)}\n  containers:\n  - image:   nginx:1.27@${nginx}   # keep\n    name: a\n  ephemeralContainers: ${containers(`nginx:1.27@${nginx}`)}\n  volumes:\n  - {name: v, image: {reference: busybox@${busybox}, pullPolicy: Always}}\n  - {name: w, emptyDir: {}}\n`,
  ],
  [
    'in quotes, and in lines',
    `kind: Job\nspec:\n  template:\n    spec:\n      containers:\n      - image: "nginx:1.27"\n      - image: 'nginx:1.27'\n      - image: >-\n          nginx:1.27\n        name: a\n`,
    `kind: Job\nspec:\n  template:\n    spec:\n      containers:\n      - image: "nginx:1.27@${nginx}"\n      - image: 'nginx:1.27@${nginx}'\n      - image: >-\n          nginx:1.27@${nginx}\n        name: a\n`,
  ],
  [
    'in JSON, in a list, and with CR and LF',
    `{"kind": "List",\r\n "items": [{"kind": "Pod", "spec": {"containers": [{"image":"busybox"}, {"image":"nginx:1.27"}]}}]}\r\n`,
    `{"kind": "List",\r\n "items": [{"kind": "Pod", "spec": {"containers": [{"image":"busybox@${busybox}"}, {"image":"nginx:1.27@${nginx}"}]}}]}\r\n`,
  ],
  [
    'of which two are one text',
    `kind: Pod\nspec:\n  containers:\n  - &c {name: a, image: &i busybox}\n  - {name: b, image: *i}\n  - {<<: *c, name: d}\n`,
    `kind: Pod\nspec:\n  containers:\n  - &c {name: a, image: &i busybox@${busybox}}\n  - {name: b, image: *i}\n  - {<<: *c, name: d}\n`,
  ],
  [
    'beside those that have a digest or none to give',
    `kind: Pod\nspec:\n  containers: ${containers(`nginx:1.27@${busybox}`, `a@sha512:${'3'.repeat(128)}`, 'redis:7', 'busybox')}\n---\nkind: ConfigMap\ndata: {image: busybox}\n`,
    `kind: Pod\nspec:\n  containers: ${containers(`nginx:1.27@${busybox}`, `a@sha512:${'3'.repeat(128)}`, 'redis:7', `busybox@${busybox}`)}\n---\nkind: ConfigMap\ndata: {image: busybox}\n`,
  ],
] as const)
  test(`digests are the only change of images ${name}`, () => {
    assert.equal(pin(before), after);
    assert.equal(pin(after), after, 'again');
  });

test('an image of a template at a given path is pinned', () => {
  const rollout = `kind: Rollout\nspec:\n  template:\n    spec: {containers: ${containers('busybox')}}\n`;
  assert.equal(pin(rollout), rollout);
  assert.equal(pin(rollout, ['spec.template']), rollout.replace('busybox', `busybox@${busybox}`));
});

test('a text that is the value of another field too is refused, and that field is named', () => {
  const text = `kind: Pod\nspec:\n  containers:\n  - image: &i busybox\n    name: a\n    env: [{name: I, value: *i}]\n`;
  assert.throws(
    () => pin(text),
    (error) =>
      error instanceof WorkloadError &&
      error.message ===
        'pod.yaml:4:15: spec.containers[0].image cannot be pinned: spec.containers[0].env[0].value would change too; write the image out',
  );
});

test('images have a place, and one without a name of an image is refused', () => {
  const file = (text: string) => [{ file: 'pod.yaml', text }];
  const { workloads } = readImages(
    file(`kind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - image: busybox\n`),
    { templates: [] },
  );
  assert.deepEqual(workloads, [
    {
      kind: 'Pod',
      name: 'web',
      file: 'pod.yaml',
      place: 'pod.yaml:1:1',
      images: [
        { path: 'spec.containers[0].image', place: 'pod.yaml:5:12', image: 'busybox', isPinned: false },
      ],
    },
  ]);
  for (const text of [`kind: Pod\nspec: {containers: ${containers('"<YOURS>"')}}\n`, 'kind: Service\n'])
    assert.throws(() => readImages(file(text), { templates: [] }), WorkloadError);
});
