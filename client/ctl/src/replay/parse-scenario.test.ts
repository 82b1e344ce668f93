import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { asSentBy } from './container-request.js';
import { fillIn, parseScenario } from './parse-scenario.js';

const directory = fileURLToPath(new URL('../../../../examples/scenarios/', import.meta.url));
const options = { cgroupParent: '/replay' };

const smallest = `scenario: the least
containers:
  - {name: pause, root: /rootfs, args: [sleep, '1']}
`;

function faults(text: string): readonly string[] {
  const parsed = parseScenario(text, 'x.yaml', options);
  assert.equal(parsed.ok, false, text);
  return parsed.diagnostics.map(({ span, message }) => `${span?.line}:${span?.column} ${message}`);
}

test('each example is a valid scenario once its variables are set', () => {
  const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'));
  assert.ok(files.length >= 5);
  for (const file of files) {
    const text = readFileSync(directory + file, 'utf8');
    const names = [...text.matchAll(/^  (\w+): (?:a|the) .*$/gm)].map(([, name]) => name ?? '');
    const declared = names.filter((name) => text.includes(`\${${name}}`));
    const values = new Map(declared.map((name) => [name, name === 'rootfs' ? directory : '/x']));
    const parsed = parseScenario(fillIn(text, directory + file, values), directory + file, options);
    assert.ok(parsed.ok, parsed.ok ? '' : JSON.stringify(parsed.diagnostics));
    assert.ok(parsed.scenario.steps.length > 5);
  }
});

test('missing and unknown variables are errors', () => {
  const text = 'variables:\n  rootfs: a directory\nscenario: ${rootfs}\n';
  assert.throws(() => fillIn(text, 'x.yaml', new Map()), /needs a value for rootfs/);
  assert.throws(() => fillIn(text, 'x.yaml', new Map([['root', '/x']])), /has no such variable/);
  assert.match(fillIn(text, 'x.yaml', new Map([['rootfs', '/x']])), /scenario: \/x/);
});

test('errors have positions', () => {
  const table: readonly [text: string, pattern: RegExp][] = [
    ['scenario: x\n', /1:1 no containers/],
    ['containers: []\n', /the key scenario is missing/],
    [smallest.replace('args', 'arguments'), /3:34 a container has no key "arguments"/],
    [`${smallest}sandbox: {hostnam: x}\n`, /4:10 sandbox: .*hostnam/],
    [`${smallest}steps:\n  - {exec: nobody, args: []}\n`, /5:12 unknown container "nobody"/],
    [`${smallest}steps:\n  - {exec: pause, oom: pause}\n`, /5:5 a step has one action or one condition/],
    [`${smallest}steps:\n  - {exec: pause, reply: x}\n`, /5:19 a step with exec has no key "reply"/],
    [`${smallest}steps:\n  - {call: Nope}\n`, /5:12 unknown method "Nope"/],
    [`${smallest}steps:\n  - {call: StatsContainer, request: {x: 1}}\n`, /5:37 request: .*x/],
    [`${smallest}steps:\n  - {output: pause, matches: '('}\n`, /5:30 matches: Invalid regular expression/],
    [`${smallest}steps:\n  - {exec: pause, within: soon}\n`, /within 'soon'/],
    [`${smallest}volumes:\n  - {directory: /x}\n`, /a volume needs a directory, and files/],
    ['scenario: [\n', /./],
  ];
  for (const [text, pattern] of table) assert.match(faults(text).join('\n'), pattern, text);
});

test('the request differs between the two runtimes', () => {
  const parsed = parseScenario(smallest, 'x.yaml', options);
  assert.ok(parsed.ok);
  const [container] = parsed.scenario.containers;
  assert.ok(container !== undefined);
  const namespaces = (runtime: 'go' | 'rs'): readonly string[] =>
    (asSentBy(runtime, container.request).OCI?.Linux?.Namespaces ?? []).map(({ Type }) => Type);
  assert.deepEqual(namespaces('go'), ['ipc', 'uts', 'mount']);
  assert.deepEqual(namespaces('rs'), ['ipc', 'uts', 'mount', 'cgroup']);
  assert.equal(asSentBy('go', container.request).execId, 'pause');
  assert.equal(asSentBy('rs', container.request).execId, '');
  assert.equal(container.request.OCI?.Linux?.CgroupsPath, '/replay/pause');
});
