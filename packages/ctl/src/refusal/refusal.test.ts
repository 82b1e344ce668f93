import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoints, methodNames } from '@kata-agent/catalogue';
import { codeName, Code } from '@kata-agent/ttrpc';
import { calls, findCall } from '../calls/calls.js';
import { explainFailure, renderRefusal } from './refusal.js';

const failed = (name: string, code: Code, said: string) =>
  explainFailure({ method: findCall(name), code, status: codeName(code), said });

test('for each method, a refusal names the entries that would allow it', () => {
  for (const name of methodNames) {
    const refusal = failed(name, Code.Unimplemented, `${name} is not served here: the list is empty`);
    assert.equal(refusal.kind, 'not-served');
    assert.deepEqual(refusal.entries, [name, ...endpoints[name].groups]);
    const text = renderRefusal(refusal).join('\n');
    assert.match(text, new RegExp(`^${name} was refused`));
    assert.match(text, /by: the list is empty/);
    assert.ok(text.includes(`"${name}"`));
    assert.ok(text.includes(endpoints[name].release));
    assert.ok(text.includes(`kata-agent-ctl endpoints ${name}`));
  }
});

test('a method or part that is not built is not blamed on the configuration', () => {
  for (const [name, said] of [
    ['GetMetrics', 'GetMetrics: not built yet'],
    ['CreateContainer', 'storage driver "nvdimm" is not built yet'],
    ['GetVolumeStats', 'method /grpc.AgentService/GetVolumeStats is unknown'],
    ['Health.Check', 'unknown service'],
  ] as const) {
    const refusal = failed(name, Code.Unimplemented, said);
    assert.equal(refusal.kind, 'not-built');
    const text = renderRefusal(refusal).join('\n');
    assert.doesNotMatch(text, /allowed_endpoints/);
    assert.ok(text.includes(said));
  }
});

test('a rule that denied is named, and the lists are not mentioned', () => {
  const refusal = failed('ExecProcess', Code.PermissionDenied, 'refused by rule "known-commands": no shells');
  assert.equal(refusal.kind, 'denied');
  assert.equal(refusal.rule, 'known-commands');
  const text = renderRefusal(refusal).join('\n');
  assert.match(text, /by: rule "known-commands"/);
  assert.match(text, /\[\[api\.rule\]\] with name = "known-commands"/);
  assert.doesNotMatch(text, /allowed_endpoints/);
});

test('a check of the agent that denied is quoted', () => {
  const refusal = failed('CreateContainer', Code.PermissionDenied, 'hooks are refused');
  assert.equal(refusal.rule, undefined);
  assert.match(renderRefusal(refusal).join('\n'), /the agent says: hooks are refused/);
});

test('other errors are no refusals', () => {
  for (const name of calls.keys()) {
    const refusal = failed(name, Code.NotFound, 'ESRCH: No such process');
    assert.deepEqual(renderRefusal(refusal), [`${name} failed: NOT_FOUND: ESRCH: No such process`]);
  }
});

test('what the agent says cannot drive the terminal', () => {
  const refusal = failed('StatsContainer', Code.Internal, 'a\u001b[2J\n\u009bx');
  assert.equal(refusal.said, 'a\\x1b[2J\\x0a\\x9bx');
});
