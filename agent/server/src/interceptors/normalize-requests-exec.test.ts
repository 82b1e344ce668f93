import assert from 'node:assert/strict';
import { it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ExecProcessRequest, ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import type { HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';
import { execDefaults } from './normalize-requests.js';

const own = { bounding: ['CAP_CHOWN', 'CAP_KILL'], effective: ['CAP_CHOWN'], ambient: ['CAP_KILL'] };
const rlimits = [{ type: 'RLIMIT_NOFILE', hard: 2n ** 64n - 1n, soft: 1024 }];
const defaults = { capabilities: own, rlimits, noNewPrivileges: true };
const complete = execDefaults({ execDefaults: (id) => (id === 'known' ? defaults : undefined) });

/** Returns the request as later interceptors see it. */
async function seen(request: MessageInitShape<typeof ExecProcessRequestSchema>): Promise<ExecProcessRequest> {
  const exec = create(ExecProcessRequestSchema, request);
  await complete(exec, {} as HandlerContext<Caller>, async (passed) => {
    assert.equal(passed, exec);
    return passed;
  });
  return exec;
}

it('an exec without capabilities gets those of its container, before rules', async () => {
  const { process } = await seen({ containerId: 'known', process: { Args: ['sh'] } });
  const { Bounding, Effective, Inheritable, Permitted, Ambient } = process?.Capabilities ?? {};
  assert.deepEqual(
    [Bounding, Effective, Inheritable, Permitted, Ambient],
    [['CAP_CHOWN', 'CAP_KILL'], ['CAP_CHOWN'], [], [], ['CAP_KILL']],
  );
});

it('an exec that states its capabilities, also none, or whose container is unknown, is unchanged', async () => {
  const empty = await seen({ containerId: 'known', process: { Capabilities: {} } });
  assert.deepEqual(empty.process?.Capabilities?.Bounding, []);
  const unknown = await seen({ containerId: 'other', process: {} });
  assert.equal(unknown.process?.Capabilities, undefined);
  assert.equal((await seen({ containerId: 'known' })).process, undefined);
});

it('an exec without resource limits gets those of its container, before rules', async () => {
  const limits = (request: ExecProcessRequest): unknown =>
    request.process?.Rlimits.map(({ Type, Hard, Soft }) => [Type, Hard, Soft]);
  const own = [['RLIMIT_NOFILE', 2n ** 64n - 1n, 1024n]];
  assert.deepEqual(limits(await seen({ containerId: 'known', process: {} })), own);
  const stated = { Type: 'RLIMIT_CORE', Hard: 0n, Soft: 0n };
  const request = await seen({ containerId: 'known', process: { Rlimits: [stated] } });
  assert.deepEqual(limits(request), [['RLIMIT_CORE', 0n, 0n]]);
  assert.deepEqual(limits(await seen({ containerId: 'other', process: {} })), []);
});

it('an exec gains no privileges that its container cannot gain', async () => {
  const flags = ['known', 'other'].map(async (containerId) => {
    const { process } = await seen({ containerId, process: { NoNewPrivileges: false } });
    return process?.NoNewPrivileges;
  });
  assert.deepEqual(await Promise.all(flags), [true, false]);
});
