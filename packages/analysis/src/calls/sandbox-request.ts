import { create } from '@bufbuild/protobuf';
import { type CreateSandboxRequest, CreateSandboxRequestSchema } from '@kata-agent/protocol/agent';
import type { Workload } from '../pod/workload.js';
import { sourcePlace } from '../write/source-place.js';
import type { Origins } from './origins.js';
import type { RuntimeSetup } from './runtime-setup.js';
import { sampleId } from './sample-id.js';

/** The sandbox of a pod, with the storages that its containers share. */
export function sandboxRequest(
  workload: Workload,
  setup: RuntimeSetup,
  origins: Origins,
): CreateSandboxRequest {
  const storages = [
    {
      driver: 'virtio-fs',
      source: 'kataShared',
      fstype: 'virtiofs',
      mountPoint: '/run/kata-containers/shared/containers/',
      because: 'the shared filesystem of the runtime',
    },
    {
      driver: 'ephemeral',
      source: 'shm',
      fstype: 'tmpfs',
      mountPoint: '/run/kata-containers/sandbox/shm',
      because: 'the shared memory of every pod',
    },
  ].filter(({ driver }) => driver === 'ephemeral' || setup.guest === 'shared-fs');
  for (const { driver, fstype, mountPoint, because } of storages) {
    origins.of('storages', [driver, fstype, sourcePlace(mountPoint)], because);
  }
  return create(CreateSandboxRequestSchema, {
    hostname: workload.name,
    sandboxId: sampleId(workload.name),
    sandboxPidns: workload.sharesProcesses,
    storages: storages.map(({ because: _because, ...storage }) => storage),
  });
}
