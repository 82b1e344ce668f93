import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import type { MemoryAgent } from '@kata-agent/guest';
import { MemAgentCompactConfigSchema, MemAgentMemcgConfigSchema } from '@kata-agent/protocol/agent';
import { Code } from '@kata-agent/ttrpc';
import type { Services } from './handler.js';
import { memAgentCompactSet, memAgentMemcgSet } from './memory.js';

type Changes = unknown[];

/** The context: handlers use only the memory agent. */
function services(changes: Changes | undefined): Services {
  const note = (change: unknown): void => void changes?.push(change);
  const memoryAgent = { setReclaim: note, setCompact: note } as Pick<
    MemoryAgent,
    'setReclaim' | 'setCompact'
  >;
  return { memoryAgent: changes === undefined ? undefined : memoryAgent } as Services;
}

const context = {} as Parameters<typeof memAgentMemcgSet>[2];

describe('calls of the memory agent', () => {
  it('change only the given fields, zeros included', async () => {
    const changes: Changes = [];
    const memcg = create(MemAgentMemcgConfigSchema, {
      swap: false,
      periodSecs: 5n,
      periodPsiPercentLimit: 0,
    });
    await memAgentMemcgSet(services(changes), memcg, context);
    await memAgentMemcgSet(services(changes), create(MemAgentMemcgConfigSchema), context);
    assert.deepEqual(changes, [{ swap: false, periodSeconds: 5, periodPressureLimit: 0 }, {}]);
  });

  it(`accept both of Kata's numbers for "never forced"`, async () => {
    for (const [compactForceTimes, forceTimes] of [
      [2n ** 64n - 1n, 'max'],
      [2n ** 63n - 1n, 'max'],
      [7n, 7],
    ] as const) {
      const changes: Changes = [];
      const compact = create(MemAgentCompactConfigSchema, { compactForceTimes, compactSecMax: -1n });
      await memAgentCompactSet(services(changes), compact, context);
      assert.deepEqual(changes, [{ forceTimes, secondsMax: -1 }]);
    }
  });

  it('are INTERNAL while it does not run, as in Kata’s agent', async () => {
    const failure = { code: Code.Internal, message: /mem_agent_enable/ };
    await assert.rejects(
      memAgentMemcgSet(services(undefined), create(MemAgentMemcgConfigSchema), context),
      failure,
    );
    await assert.rejects(
      memAgentCompactSet(services(undefined), create(MemAgentCompactConfigSchema), context),
      failure,
    );
  });
});
