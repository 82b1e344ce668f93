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

function document(text: string, explicit: boolean): string {
  const workloads = readWorkloads([{ file: 'pod.yaml', text: text.replace('[true]', '["true"]') }]);
  const setup = { runtime: 'rs', guest: 'shared-fs' } as const;
  return renderDelivered(generate(workloads, { setup, images: new Map(), explicit }), ['title']);
}

const long = 'long '.repeat(30);

/** What is changed, and how it is said of a document with a profile, and of one with all rules. */
const changes: readonly {
  readonly what: string;
  readonly from: string;
  readonly to: string;
  readonly lines: readonly string[];
  readonly linesOfRules?: readonly string[];
}[] = [
  { what: 'nothing', from: '', to: '', lines: [] },
  {
    what: 'an argument',
    from: '"120"',
    to: '"121"',
    lines: ['containers[0].command: ["sleep", "120"] → ["sleep", "121"]'],
    linesOfRules: ['containers[0].command: ["app", "sleep", "120"] → ["app", "sleep", "121"]'],
  },
  {
    what: 'a value',
    from: 'production',
    to: 'test',
    lines: ['containers[0].env[0]: "MODE=production" → "MODE=test"'],
  },
  {
    what: 'a long value',
    from: 'long long',
    to: 'long short',
    lines: [`containers[0].env[1]: "LONG=${long}" → "LONG=${long.replace('long long', 'long short')}"`],
  },
  {
    what: 'an image',
    from: 'nginx:1.27',
    to: 'nginx:1.28',
    lines: ['containers[0].image: ["docker.io/library/nginx:1.27"] → ["docker.io/library/nginx:1.28"]'],
    linesOfRules: [
      'create-container-images: "docker.io/library/nginx:1.27" → "docker.io/library/nginx:1.28"',
    ],
  },
  {
    what: 'a name, with its quotes and signs',
    from: 'MODE, value: production',
    to: "MODE, value: 'a\"b # c]'",
    lines: [String.raw`containers[0].env[0]: "MODE=production" → "MODE=a\"b # c]"`],
  },
  {
    what: 'a command that is executed',
    from: '[true]',
    to: '["true", "-v"]',
    lines: ['containers[0].livenessProbe.exec: [["true"]] → [["true", "-v"]]'],
    linesOfRules: ['containers[0].livenessProbe.exec: ["app", "true"] → ["app", "true", "-v"]'],
  },
  {
    what: 'a switch that no field is named for',
    from: '    env:',
    to: '    securityContext: {readOnlyRootFilesystem: true}\n    env:',
    lines: ['container app, read_only_root: now true'],
    linesOfRules: [
      'the pause container: no longer "true"',
      'containers[0].securityContext.readOnlyRootFilesystem: no longer "false"',
      'the pause container, containers[0].securityContext.readOnlyRootFilesystem: now "true"',
      ...['no longer', 'now'].flatMap((word) =>
        ['/etc/resolv.conf', '/etc/hostname'].map(
          (file) =>
            `the container engine: ${word} ["bind", "${file}", "/run/kata-containers/shared/containers/", "rbind", "rprivate", "${word === 'now' ? 'ro' : 'rw'}"]`,
        ),
      ),
    ],
  },
];

for (const { what, from, to, lines, linesOfRules } of changes)
  for (const explicit of [false, true])
    test(`a change is said by the field of the pod, ${explicit ? 'with all rules' : 'with a profile'}: ${what}`, () => {
      const found = generatedChanges(document(pod, explicit), document(pod.replace(from, to), explicit));
      const expected = explicit ? (linesOfRules ?? lines) : lines;
      assert.deepEqual(found, expected);
    });

for (const explicit of [false, true])
  test(`an endpoint that is not needed any more is named with its field, ${explicit ? 'with all rules' : 'with a profile'}`, () => {
    const without = pod.replace(/ {4}livenessProbe.*\n/, '');
    const found = generatedChanges(document(pod, explicit), document(without, explicit));
    assert.ok(found.includes('containers[0].livenessProbe.exec: no longer "ExecProcess"'), found.join('\n'));
  });
