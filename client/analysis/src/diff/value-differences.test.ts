import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readWorkloads } from '@kata-agent/workloads';
import { generate } from '../generate/generate.js';
import { configurationOf } from '../testing/configuration-of.js';
import { renderPlan } from '../write/render-plan.js';
import { diffConfigurations } from './diff-configurations.js';

const pod = `kind: Pod
metadata: { name: web }
spec:
  containers:
    - name: web
      image: i
      command: [sleep, "1"]
      volumeMounts: [{ name: x, mountPath: /x, readOnly: true }, { name: y, mountPath: /y }]
  volumes: [{ name: x, hostPath: { path: /srv/x } }, { name: y, hostPath: { path: /srv/y } }]
`;

const setup = { runtime: 'go', guest: 'shared-fs' } as const;
const text = renderPlan(
  generate(readWorkloads([{ file: 'pod.yaml', text: pod }]), { setup, images: new Map() }),
  [],
);

for (const [what, after, expected] of [
  ['nothing', text, []],
  [
    'another word of a command line',
    text.replace('["sleep", "1"]', '["sleep", "2"]'),
    [['opens', 'values.container["web"].args']],
  ],
  [
    'a mount at another place',
    text.replace('{ to = "/x"', '{ to = "/etc"'),
    ['to', 'type', 'from', 'options', 'name', 'name_pattern', 'watched'].flatMap((key) => [
      ['opens', `values.container["web"].mounts["/x"].${key}`],
      ['opens', `values.container["web"].mounts["/etc"].${key}`],
    ]),
  ],
  [
    'a mount that is not required any more',
    text.replace(/^ {2}\{ to = "\/x"[^]*?\},\n/m, ''),
    ['to', 'type', 'from', 'options', 'name', 'name_pattern', 'watched'].map((key) => [
      'opens',
      `values.container["web"].mounts["/x"].${key}`,
    ]),
  ],
] as const)
  test(`a difference of the values of a profile is one that opens: ${what}`, async () => {
    assert.equal(after === text, what === 'nothing');
    const [before, now] = await Promise.all([text, after].map((each) => configurationOf(each)));
    assert.ok(before !== undefined && now !== undefined);
    const found = diffConfigurations(before, now).map(({ effect, name }) => `${effect} ${name}`);
    assert.deepEqual(new Set(found), new Set(expected.map((each) => each.join(' '))));
  });
