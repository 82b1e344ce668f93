import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentService } from '@kata-agent/protocol/agent';
import { endpoints, groups, isGroupName, isMethodName, methodNames, releases } from './index.js';

const declared = AgentService.methods.map((method) => method.name);

test('the list of methods matches the service in agent.proto', () => {
  assert.equal(declared.length, 42);
  assert.deepEqual([...methodNames], declared);
});

test('methods and rows match one to one', () => {
  assert.deepEqual(Object.keys(endpoints), declared);
  for (const name of declared) {
    assert.ok(isMethodName(name));
    assert.equal(endpoints[name].method, name);
  }
});

test('method names are case sensitive', () => {
  for (const wrong of [
    'ExecProcessRequest',
    'execprocess',
    'Exec*',
    ' ExecProcess',
    '',
    'toString',
    '__proto__',
  ])
    assert.equal(isMethodName(wrong), false, wrong);
  for (const wrong of ['pod', '@Pod', '@', 'constructor', '__proto__'])
    assert.equal(isGroupName(wrong), false, wrong);
  assert.equal(isGroupName('@pod'), true);
});

test('every row has its texts', () => {
  for (const endpoint of Object.values(endpoints)) {
    for (const key of ['purpose', 'exposure', 'without'] as const) {
      assert.match(endpoint[key], /^(?:[A-Z]|k).{15,}\.$/s, `${endpoint.method}.${key}`);
    }
    for (const client of ['go', 'rs'] as const) {
      assert.ok(endpoint.clients[client].length > 4, `${endpoint.method}.clients.${client}`);
    }
  }
});

test('rows are frozen', () => {
  assert.throws(() => Object.assign(endpoints, { ExecProcess: endpoints.GetMetrics }), TypeError);
  assert.throws(() => Object.assign(endpoints.ExecProcess, { release: '1.0.0' }), TypeError);
});

test('the groups of a row are those that contain its method', () => {
  for (const endpoint of Object.values(endpoints)) {
    for (const group of groups.values()) {
      assert.equal(
        endpoint.groups.includes(group.name),
        group.methods.includes(endpoint.method),
        `${endpoint.method} ${group.name}`,
      );
    }
  }
});

// The methods that each release introduced, from the tags of Kata Containers.
const broughtBy: Readonly<Record<string, readonly string[]>> = {
  '2.2.0': ['AddSwap'],
  '2.4.0': ['GetVolumeStats', 'ResizeVolume'],
  '2.5.0': ['GetIPTables', 'SetIPTables'],
  '3.2.0': ['UpdateEphemeralMounts', 'RemoveStaleVirtiofsShareMounts'],
  '3.3.0': ['SetPolicy'],
  '3.13.0': ['MemAgentMemcgSet', 'MemAgentCompactSet'],
  '3.15.0': ['AddSwapPath'],
  '3.29.0': ['GetDiagnosticData'],
};

test('each method has the release that introduced it', () => {
  const later = new Map(
    Object.entries(broughtBy).flatMap(([release, names]) => names.map((name) => [name, release])),
  );
  assert.equal(later.size, 12);
  for (const endpoint of Object.values(endpoints)) {
    assert.equal(endpoint.release, later.get(endpoint.method) ?? '2.0.0', endpoint.method);
    assert.ok(releases.includes(endpoint.release));
  }
});

test('read-only methods are listed; all others change state', () => {
  const looks = Object.values(endpoints).filter((endpoint) => !endpoint.changes);
  for (const { method } of looks) assert.match(method, /^(Get|List|Read|Wait|Stats)/);
  for (const { method, changes } of Object.values(endpoints))
    if (/^(Get|List|Read|Wait|Stats)/.test(method)) assert.equal(changes, false, method);
});

test('stdio, OOM waits and idempotent calls are folded', () => {
  const folded = Object.values(endpoints).flatMap(({ method, fold }) =>
    fold === undefined ? [] : [[method, fold]],
  );
  assert.deepEqual(Object.fromEntries(folded), {
    OnlineCPUMem: 'repeat',
    SignalProcess: 'repeat',
    CloseStdin: 'repeat',
    TtyWinResize: 'repeat',
    ReseedRandomDev: 'repeat',
    WriteStdin: 'stream',
    ReadStdout: 'stream',
    ReadStderr: 'stream',
    GetOOMEvent: 'poll',
  });
});
