import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoints, methodNames } from '@kata-agent/catalogue';
import { codeName, Code } from '@kata-agent/ttrpc';
import { explainFailure, renderRefusal } from '@kata-agent/cli';
import { calls, findCall } from './calls.js';

const failed = (name: string, code: Code, serverMessage: string) =>
  explainFailure({ method: findCall(name), code, status: codeName(code), serverMessage });

test('a denial by the gate names the entries that would allow the method', () => {
  for (const name of methodNames) {
    const refusal = failed(name, Code.Unimplemented, `${name} is not served here: the list is empty`);
    assert.equal(refusal.kind, 'not-served');
    assert.deepEqual(refusal.entries, [name, ...endpoints[name].groups]);
    const text = renderRefusal(refusal).join('\n');
    assert.match(text, new RegExp(`^${name} was denied`));
    assert.match(text, /by: the list is empty/);
    assert.ok(text.includes(`"${name}"`));
    assert.ok(text.includes(endpoints[name].release));
    assert.ok(text.includes(`kata-agent-ctl endpoints ${name}`));
  }
});

test('an unbuilt method or part is not attributed to the configuration', () => {
  for (const [name, serverMessage] of [
    ['GetMetrics', 'GetMetrics: not built yet'],
    ['CreateContainer', 'storage driver "nvdimm" is not built yet'],
    ['GetVolumeStats', 'method /grpc.AgentService/GetVolumeStats is unknown'],
    ['Health.Check', 'unknown service'],
  ] as const) {
    const refusal = failed(name, Code.Unimplemented, serverMessage);
    assert.equal(refusal.kind, 'not-built');
    const text = renderRefusal(refusal).join('\n');
    assert.doesNotMatch(text, /allowed_endpoints/);
    assert.ok(text.includes(serverMessage));
  }
});

test('a denial by a rule names the rule and no lists', () => {
  const refusal = failed('ExecProcess', Code.PermissionDenied, 'refused by rule "known-commands": no shells');
  assert.equal(refusal.kind, 'denied');
  assert.equal(refusal.rule, 'known-commands');
  const text = renderRefusal(refusal).join('\n');
  assert.match(text, /by: rule "known-commands"/);
  assert.match(text, /\[\[api\.rule\]\] with name = "known-commands"/);
  assert.doesNotMatch(text, /allowed_endpoints/);
});

test('a denial by a check of the agent is quoted', () => {
  const refusal = failed('CreateContainer', Code.PermissionDenied, 'hooks are refused');
  assert.equal(refusal.rule, undefined);
  assert.match(renderRefusal(refusal).join('\n'), /the agent reports: hooks are refused/);
});

test('other errors are not denials', () => {
  for (const name of calls.keys()) {
    const refusal = failed(name, Code.NotFound, 'ESRCH: No such process');
    assert.deepEqual(renderRefusal(refusal), [`${name} failed: NOT_FOUND: ESRCH: No such process`]);
  }
});

test("control characters in an agent's message are escaped", () => {
  const refusal = failed('StatsContainer', Code.Internal, 'a\u001b[2J\n\u009bx');
  assert.equal(refusal.serverMessage, 'a\\x1b[2J\\x0a\\x9bx');
});
