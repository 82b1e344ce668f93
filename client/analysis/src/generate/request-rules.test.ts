import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import { describeRefusals } from './refusals.test.fixture.js';

const pod = `kind: Pod
metadata: { name: shop }
spec:
  initContainers:
    - { name: proxy, image: i, command: [sh], restartPolicy: Always, startupProbe: { exec: { command: [check] } } }
  containers:
    - { name: quiet, image: i, command: [sh] }
    - { name: typed, image: i, command: [sh], tty: true }
    - { name: fed, image: i, command: [sh], stdin: true, livenessProbe: { exec: { command: [cat, /key] } } }
`;

const streams: Readonly<
  Partial<Record<MethodName, { readonly rule: string; readonly of: readonly string[] }>>
> = {
  ReadStdout: { rule: 'read-stdout-streams', of: ['typed', 'fed'] },
  ReadStderr: { rule: 'read-stderr-streams', of: ['typed', 'fed'] },
  WriteStdin: { rule: 'write-stdin-streams', of: ['fed'] },
  CloseStdin: { rule: 'close-stdin-streams', of: ['fed'] },
  TtyWinResize: { rule: 'tty-win-resize-streams', of: ['typed'] },
};

describeRefusals(
  'streams are those of first processes that have them in the pod (S41)',
  ({ calls, refusal }) => {
    for (const [method, { rule, of }] of Object.entries(streams) as [
      MethodName,
      { rule: string; of: string[] },
    ][]) {
      // runtime-rs closes standard input with an empty WriteStdin.
      if (!calls.some((call) => call.method === method)) continue;
      test(`${method} for ${of.join(' and ')} alone`, () => {
        const names = new Map<string, string>();
        for (const call of calls) {
          if (call.method === method) break;
          const { containerId } = call.request as Message & { readonly containerId: string };
          if (call.method === 'CreateContainer') names.set(call.container ?? '', containerId);
        }
        const denied = (container: string, execId: string): string | undefined =>
          refusal(method, (request) => {
            const containerId = names.get(container) ?? assert.fail(container);
            Object.assign(request, { containerId, execId: execId === 'own' ? containerId : execId });
          });
        for (const name of names.keys()) {
          const expected = of.includes(name) ? undefined : rule;
          for (const first of ['', 'own']) assert.equal(denied(name, first), expected, `${name} ${first}`);
          assert.equal(denied(name, 'probe'), rule, name);
        }
        assert.ok(names.size >= 4);
      });
    }
  },
  { pod },
);
