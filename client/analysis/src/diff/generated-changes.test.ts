import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readWorkloads } from '@kata-agent/workloads';
import { generate } from '../generate/generate.js';
import { renderDelivered } from '../write/render-plan.js';
import { generatedChanges } from './generated-changes.js';

const pod = `kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: app
    image: docker.io/library/nginx:1.27
    command: [sleep, "120"]
    env: [{name: MODE, value: production}, {name: LONG, value: "${'long '.repeat(30)}"}]
    livenessProbe: {exec: {command: [true]}}
`;

function document(text: string): string {
  const workloads = readWorkloads([{ file: 'pod.yaml', text: text.replace('[true]', '["true"]') }]);
  const setup = { runtime: 'rs', guest: 'shared-fs' } as const;
  return renderDelivered(generate(workloads, { setup, images: new Map() }), ['title']);
}

for (const [what, from, to, expected] of [
  ['nothing', '', '', []],
  [
    'an argument',
    '"120"',
    '"121"',
    ['containers[0].command: ["app", "sleep", "120"] → ["app", "sleep", "121"]'],
  ],
  ['a value', 'production', 'test', ['containers[0].env[0]: "MODE=production" → "MODE=test"']],
  [
    'a long value',
    'long long',
    'long short',
    [
      `containers[0].env[1]: "LONG=${'long '.repeat(30)}" → "LONG=${'long '.repeat(30).replace('long long', 'long short')}"`,
    ],
  ],
  [
    'an image',
    'nginx:1.27',
    'nginx:1.28',
    ['create-container-images: "docker.io/library/nginx:1.27" → "docker.io/library/nginx:1.28"'],
  ],
] as const)
  test(`a change is said by the field of the pod: ${what}`, () => {
    assert.deepEqual(generatedChanges(document(pod), document(pod.replace(from, to))), expected);
  });

test('an endpoint that is not needed any more is named with its field', () => {
  const without = pod.replace(/ {4}livenessProbe.*\n/, '');
  const changes = generatedChanges(document(pod), document(without));
  assert.ok(
    changes.includes('containers[0].livenessProbe.exec: no longer "ExecProcess"'),
    changes.join('\n'),
  );
});
