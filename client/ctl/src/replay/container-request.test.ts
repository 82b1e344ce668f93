import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { privilegesOf } from '@kata-agent/gate';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { containerSpec, processSpec } from '../run/spec.js';
import { asSentBy, containerRequest } from './container-request.js';

test("a scenario's container is not privileged with either runtime", () => {
  const request = containerRequest({
    id: 'web',
    root: '/run/kata-containers/shared/containers/web/rootfs',
    readonly: false,
    args: ['/bin/web'],
    env: [],
    terminal: false,
    sharesProcesses: false,
    annotations: {},
    mounts: [],
    storages: [],
    resources: undefined,
    cgroup: '/pod/web',
  });
  for (const runtime of ['go', 'rs'] as const) assert.deepEqual(privilegesOf(asSentBy(runtime, request)), []);
});

test('a container of the command run is not privileged', () => {
  const given = { args: ['sh'], env: [], user: undefined, cwd: undefined, terminal: false, size: undefined };
  const process = processSpec(given, {});
  const spec = containerSpec({ id: 'web', rootfs: '/r', rootfsMode: 'layer', hostname: 'web', process });
  assert.deepEqual(privilegesOf(create(CreateContainerRequestSchema, spec)), []);
});
