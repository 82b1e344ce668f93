import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  endpoints,
  type MethodName,
  membersOf,
  type Phase,
  type RuntimeCall,
  runtimeCalls,
} from './index.js';

const phases: readonly Phase[] = ['sandbox', 'create', 'start', 'exec', 'observe', 'stop', 'destroy'];

/** Returns the methods that are called for every pod. */
function always(calls: readonly RuntimeCall[]): Set<MethodName> {
  return new Set(calls.filter((call) => call.condition === undefined).map((call) => call.method));
}

for (const [client, calls] of Object.entries(runtimeCalls)) {
  test(`${client}: phases are in order`, () => {
    const order = calls.map((call) => phases.indexOf(call.phase));
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    );
  });

  test(`${client}: methods called for every pod are in @pod, except reading output, which the agent can drain`, () => {
    const pod = membersOf('@pod');
    const outside = [...always(calls)].filter((method) => !pod.includes(method));
    assert.deepEqual(outside, ['ReadStdout', 'ReadStderr']);
  });
}

test('@pod is the union of what both runtimes need for a pod without hotplug', () => {
  const needed = new Set([...always(runtimeCalls.go), ...always(runtimeCalls.rs), 'AddARPNeighbors']);
  for (const method of membersOf('@pod')) assert.ok(needed.has(method), method);
});

test('a row’s text says “never” exactly when the runtime does not call the method', () => {
  for (const client of ['go', 'rs'] as const) {
    const called = new Set(runtimeCalls[client].map((call) => call.method));
    // Called through the shim's management socket on an operator's request, at no fixed phase.
    const byHand = new Set<MethodName>(['GetIPTables', 'SetIPTables', 'GetVolumeStats', 'ResizeVolume']);
    for (const endpoint of Object.values(endpoints)) {
      if (byHand.has(endpoint.method)) continue;
      assert.equal(
        endpoint.clients[client].startsWith('never'),
        !called.has(endpoint.method),
        endpoint.method,
      );
    }
  }
});
