import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { privilegesOf, reasonsOf } from '@kata-agent/gate';
import { readWorkloads } from '../pod/read-workloads.js';
import { expectedCalls } from './expected-calls.js';

const directory = fileURLToPath(new URL('../../../../examples/workloads/', import.meta.url));
const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'));

/** The privileges that these workloads request. All others request none. */
const meant: Readonly<Record<string, readonly string[]>> = {
  'gpu.yaml': ['devices'],
  'mesh.yaml': ['capabilities', 'shared-processes'],
  'node-agent.yaml': ['guest-paths'],
  'privileged.yaml': ['capabilities', 'unmasked-paths', 'kernel-filesystem'],
  'tracer.yaml': ['capabilities', 'shared-processes'],
};

for (const runtime of ['go', 'rs'] as const) {
  for (const guest of ['shared-fs', 'confidential'] as const) {
    test(`a workload is privileged only if its pod requests it, ${runtime}, ${guest}`, () => {
      assert.equal(files.length, 22);
      for (const file of files) {
        const workloads = readWorkloads([{ file, text: readFileSync(directory + file, 'utf8') }]);
        const calls = workloads.flatMap((workload) => expectedCalls(workload, { runtime, guest }, new Map()));
        const found = reasonsOf(calls.flatMap(({ request }) => privilegesOf(request)));
        assert.deepEqual(found, meant[file] ?? [], file);
      }
    });
  }
}
