import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRuleChecker } from '@kata-agent/gate/rules';
import { type ImageConfig, type RuntimeSetup, readWorkloads } from '@kata-agent/workloads';
import { configurationOf } from '../testing/configuration-of.js';
import { renderPlan } from '../write/render-plan.js';
import { generate } from './generate.js';

const digest = `sha256:${'a'.repeat(64)}`;
const image = `registry.example/team/app@${digest}`;
const setup: RuntimeSetup = { runtime: 'rs', guest: 'confidential', puller: 'built-in' };
const config: ImageConfig = {
  user: 'app',
  env: ['PATH=/bin', 'MODE=a'],
  entrypoint: ['/bin/app'],
  cmd: ['--all'],
  workingDir: '/srv',
  volumes: [],
  stopSignal: '',
  groups: [],
  rootHashes: [],
  digest,
};

interface Given {
  /** Keys of the container, with a leading comma. */
  readonly container?: string;
  /** Keys of the pod's spec, with a leading comma. */
  readonly pod?: string;
  readonly name?: string;
  readonly setup?: RuntimeSetup;
  readonly config?: ImageConfig | undefined;
}

async function generated(given: Given): Promise<string> {
  const text =
    `kind: Pod\nmetadata: { name: p }\nspec: { enableServiceLinks: false, ` +
    `containers: [{ name: c, image: "${given.name ?? image}"${given.container ?? ''} }]${given.pod ?? ''} }\n`;
  const workloads = readWorkloads([{ file: 'pod.yaml', text }]);
  const known = 'config' in given ? given.config : config;
  const images = new Map(known === undefined ? [] : [[image, known] as const]);
  const written = renderPlan(generate(workloads, { setup: given.setup ?? setup, images }), []);
  await configurationOf(written, async () => createRuleChecker());
  return written;
}

/** Returns the part of the rule about the container, on one line. */
async function ruleOf(given: Given): Promise<string> {
  const [, rule = ''] =
    /name = "create-container-verified-images"[^]*?'''\n([^]*?)\n'''/.exec(await generated(given)) ?? [];
  const [, part = ''] = /\["c"\]\) \|\|\s*([^]*)\)$/.exec(rule) ?? [];
  return part.replaceAll(/\s+/g, ' ');
}

const pin = `image.digest == "${digest}"`;

test('an image is pinned by its digest, and its process is the image’s', async () => {
  assert.equal(await ruleOf({}), `${pin} && runs_image_entrypoint({ "env": ["HOSTNAME", "KUBERNETES_*"]})`);
  const text = await generated({});
  assert.match(text, /\(!\(container\.claimed\.name in \[""\]\) \|\|\s+image\.from == "pause_bundle"\)/);
  assert.match(
    text,
    /\[image\]\npuller = "built-in"\nrequire_digest = true\nregistries = \[\n  "registry\.example\/team\/app",\n\]/,
  );
});

test('a value that is not known opens only that element of the process', async () => {
  const env = '"env": ["HOSTNAME", "*", "KUBERNETES_*"]';
  const keys = ', envFrom: [{ configMapRef: { name: missing } }]';
  assert.equal(await ruleOf({ container: keys }), `${pin} && runs_image_entrypoint({ ${env}})`);
  const token =
    ', args: ["-v", "--key=$(T)!"], env: [{ name: T, valueFrom: { secretKeyRef: { name: s, key: k } } }]';
  assert.equal(
    await ruleOf({ container: token }),
    `${pin} && runs_image_entrypoint({ "args": ["-v", "--key=" + env["T"] + "!"], "env": ["HOSTNAME", "T", "KUBERNETES_*"]})`,
  );
});

test('what the pod sets is named, and nothing else', async () => {
  const env = '"env": ["HOSTNAME", "KUBERNETES_*"]';
  const cases: readonly (readonly [Given, string])[] = [
    [{ container: ', args: ["--port=80"]' }, `"args": ["--port=80"], ${env}`],
    [{ container: ', args: []' }, `"args": [], ${env}`],
    [
      { container: ', env: [{ name: MODE, value: b }, { name: X, value: y }, { name: PATH, value: /bin }]' },
      '"env": ["MODE", "HOSTNAME", "X", "KUBERNETES_*"]',
    ],
    [{ container: ', tty: true' }, '"env": ["HOSTNAME", "TERM", "KUBERNETES_*"]'],
    [{ container: ', workingDir: /data' }, `${env}, "cwd": ["/data"]`],
    [{ pod: ', securityContext: { runAsUser: 7, runAsGroup: 8 }' }, `${env}, "user": ["7:8"]`],
    [{ pod: ', securityContext: { runAsUser: 7 }' }, `${env}, "user": ["7"]`],
    [{ pod: ', securityContext: { fsGroup: 9, supplementalGroups: [5] }' }, `${env}, "groups": ["5", "9"]`],
    [
      { pod: ', securityContext: { runAsGroup: 8 }', config: { ...config, user: '4' } },
      `${env}, "user": ["4:8"]`,
    ],
    [
      {
        container: ', volumeMounts: [{ name: v, mountPath: /usr/lib/x }, { name: v, mountPath: /data }]',
        pod: ', volumes: [{ name: v, emptyDir: {} }]',
      },
      `${env}, "mounts": ["/usr/lib/x"]`,
    ],
  ];
  for (const [given, options] of cases)
    assert.equal(await ruleOf(given), `${pin} && runs_image_entrypoint({ ${options}})`);
});

test('a process that is not the image’s, or not known, is left to the other rules, and the comment says so', async () => {
  const cases: readonly (readonly [Given, RegExp])[] = [
    [{ container: ', command: [/bin/sh]' }, /# - c: the pod has a command of its own/],
    [{ config: undefined }, /# - c: the configuration of the image is not given \(--image-layout\)/],
    [{ pod: ', securityContext: { runAsGroup: 8 }' }, /# - c: the pod replaces the group of a user/],
  ];
  for (const [given, why] of cases) {
    assert.equal(await ruleOf(given), pin);
    assert.match(await generated(given), why);
  }
});

test('a user that the image names is constrained for the containers whose process is the image’s', async () => {
  const open = async (given: Given): Promise<readonly string[]> =>
    [...(await generated(given)).matchAll(/^# - container (.*?): .*$/gm)].map(([, what = '']) => what);
  assert.deepEqual(await open({}), []);
  const user = 'user, group of the user';
  const second = `{ name: d, image: "${image}", command: [/bin/sh] }`;
  assert.deepEqual(await open({ container: ` }, ${second.slice(0, -2)}` }), [`d, ${user}`]);
  assert.deepEqual(await open({ container: ', command: [/bin/sh]' }), [`c, ${user}`]);
  // The rule about images does not see an exec.
  assert.deepEqual(await open({ container: ', livenessProbe: { exec: { command: [a] } }' }), [`c, ${user}`]);
  const other: RuntimeSetup = { runtime: 'rs', guest: 'confidential' };
  assert.deepEqual(await open({ setup: other }), [`c, ${user}`]);
  // Without the image's configuration, nothing is known of one container, and of the others as much as before.
  const unknown = 'registry.example/team/other@sha256:'.concat('b'.repeat(64));
  const third = `{ name: d, image: "${unknown}" }`;
  assert.deepEqual(await open({ container: ` }, ${third.slice(0, -2)}` }), [
    `d, env, ${user}, supplementary groups, command, args, workingDir, stop signal`,
  ]);
});

test('a volume that the image declares is filled by the guest, unless the pod mounts something there', async () => {
  const declared = { config: { ...config, user: '1:1', volumes: ['/data'] } };
  const key = /^image_volumes = \["c=\/data"\]$/m;
  assert.match(await generated(declared), key);
  assert.doesNotMatch(await generated(declared), /NOT CONSTRAINED/);
  const pod = ', volumes: [{ name: v, emptyDir: {} }]';
  const container = ', volumeMounts: [{ name: v, mountPath: /data }]';
  assert.doesNotMatch(await generated({ ...declared, container, pod }), /image_volumes/);
  // Here all of the root is the host's.
  const shared: RuntimeSetup = { runtime: 'rs', guest: 'shared-fs' };
  assert.doesNotMatch(await generated({ ...declared, setup: shared }), /image_volumes/);
});

test('without the built-in puller there is no such rule, and a tag is no digest', async () => {
  for (const other of [
    { runtime: 'rs', guest: 'confidential' },
    { runtime: 'rs', guest: 'shared-fs', puller: 'built-in' },
  ] as const)
    assert.doesNotMatch(await generated({ setup: other }), /verified-images|\[image\]/);
  await assert.rejects(generated({ name: 'app:1' }), /image app:1 has no digest/);
});
