import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  WaitProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import { recordingOf } from './recording.js';

test('a recording has no repeated calls, one executed command, and none of the values of its run', () => {
  const exec = (execId: string) => ({
    method: 'ExecProcess',
    request: create(ExecProcessRequestSchema, { execId }),
  });
  const calls = [
    { method: 'CreateSandbox', request: create(CreateSandboxRequestSchema, { sandboxId: 'pod-of-/tmp/x' }) },
    exec('first'),
    { method: 'WaitProcess', request: create(WaitProcessRequestSchema) },
    exec('second'),
  ];
  assert.deepEqual(JSON.parse(recordingOf(calls, [['/tmp/x', 'WORK']])), [
    { method: 'CreateSandbox', request: { sandboxId: 'pod-of-WORK' } },
    { method: 'ExecProcess', request: { execId: 'first' } },
  ]);
});
