import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { whyNoContainers } from '../harness/rootfs.js';
import { type Runtime, runScenario } from './scenario-run.js';

const runtimes: readonly Runtime[] = ['go', 'rs'];

for (const runtime of runtimes) {
  describe(`scenarios, in the order of ${runtime}`, { skip: whyNoContainers() ?? false }, () => {
    it('a pod whose containers share the namespaces of its pause container', async () => {
      const { failures, calls } = await runScenario({ name: 'shared-namespaces', runtime });
      assert.deepEqual(failures, []);
      assert.deepEqual(
        // Both streams end at once, in either order.
        calls
          .filter(({ about, method }) => about === 'pause' && !method.startsWith('Read'))
          .map(({ method }) => method),
        runtime === 'go'
          ? [
              'CreateContainer',
              'OnlineCPUMem',
              'StartContainer',
              'SignalProcess',
              'WaitProcess',
              'RemoveContainer',
              'RemoveStaleVirtiofsShareMounts',
            ]
          : [
              'OnlineCPUMem',
              'CreateContainer',
              'StartContainer',
              'SignalProcess',
              'WaitProcess',
              'RemoveContainer',
            ],
      );
    });
  });
}
