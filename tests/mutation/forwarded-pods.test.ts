import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { expectedCalls } from '@kata-agent/workloads';
import { images, setups, workloadFiles, workloadsIn } from './expected-requests.js';
import { completed, formContext, forwardRefusal, placeholders } from './forwarded-pods.js';

/** Requests of the example workloads that are not forwarded, with the reason. */
const exceptions: readonly (readonly [request: RegExp, reason: RegExp])[] = [
  // A hostPath below /sys is a path of the guest, which the configuration must name.
  [/^node-agent\.yaml CreateContainer/, /"\/sys\/fs\/cgroup" is not a path that Kata's runtimes use/],
];

suite('forward mode and the pods of the example workloads', () => {
  for (const setup of setups.filter(({ verifiedLayers }) => verifiedLayers === undefined)) {
    const { runtime, guest, snapshotter = '' } = setup;
    test(`${runtime}, ${guest} ${snapshotter}: each request of a runtime is forwarded`, () => {
      let calls = 0;
      const refused: string[] = [];
      for (const file of workloadFiles) {
        for (const workload of workloadsIn(file)) {
          const context = formContext(setup);
          for (const call of expectedCalls(workload, setup, images)) {
            if (placeholders.has(call.method)) continue;
            calls += 1;
            const why = forwardRefusal(call.method, completed(call), context);
            const named = `${file} ${call.method} of ${call.because}`;
            const isKnown = exceptions.some(
              ([request, reason]) => request.test(named) && reason.test(why ?? ''),
            );
            if (why !== undefined && !isKnown) refused.push(`${named}: ${why}`);
          }
        }
      }
      assert.deepEqual([...new Set(refused)], []);
      assert.ok(calls > 200, `${calls} calls`);
    });
  }
});
