import { kataDirectory, sharedDirectory } from '@kata-agent/catalogue';
import { create, type Message } from '@bufbuild/protobuf';
import { CreateSandboxRequestSchema, UpdateEphemeralMountsRequestSchema } from '@kata-agent/protocol/agent';
import type { Workload } from '../pod/workload.js';
import type { Entry, FactName } from '../facts/fact.js';
import { sourcePlace } from '../facts/cel-literal.js';
import { sampleHostname, sampleId } from './sample-names.js';
import type { Origins } from './expected-call.js';
import type { RuntimeSetup } from './runtime-setup.js';

/** Returns the CreateSandbox request of a pod, with the shared storages. */
export function sandboxRequest(
  workload: Workload,
  setup: RuntimeSetup,
  origins: Origins,
): { readonly request: Message; readonly values: ReadonlyMap<FactName, readonly Entry[]> } {
  const storages = [
    {
      driver: 'virtio-fs',
      source: 'kataShared',
      fstype: 'virtiofs',
      mountPoint: `${sharedDirectory}/`,
      // The Go runtime sends none or a DAX option, runtime-rs another.
      options: ['nodev?', 'dax?', 'dax=inode?'],
      because: 'the shared filesystem of the runtime',
    },
    {
      driver: 'ephemeral',
      source: 'shm',
      fstype: 'tmpfs',
      mountPoint: `${kataDirectory}/sandbox/shm`,
      options: ['noexec', 'nosuid', 'nodev', 'mode=1777', 'size=67108864'],
      because: 'the shared memory of every pod',
    },
  ].filter(({ driver }) => driver === 'ephemeral' || setup.guest === 'shared-fs');
  const storageTable = storages.map(({ driver, fstype, mountPoint, options, because }) => {
    const row = [driver, fstype, sourcePlace(mountPoint), ...options];
    origins.of('storages', [driver, fstype, sourcePlace(mountPoint)], because);
    origins.of('storageTable', row, because);
    return row;
  });
  const request = create(CreateSandboxRequestSchema, {
    hostname: sampleHostname(workload),
    sandboxId: sampleId(workload.name),
    sandboxPidns: workload.sharesProcesses,
    storages: storages.map(({ because: _because, options, ...storage }) => ({
      ...storage,
      options: options.filter((option) => !option.endsWith('?')),
    })),
  });
  return { request, values: new Map([['storageTable', storageTable]]) };
}

/** Returns the UpdateEphemeralMounts request of a runtime that resizes tmpfs volumes to all memory. */
export function resizedMounts(workload: Workload): {
  readonly request: Message;
  readonly values: ReadonlyMap<FactName, readonly Entry[]>;
} {
  const volumes = [...workload.volumes.values()].filter(({ memory }) => memory);
  const storages = volumes.map(({ name }) => ({
    driver: 'ephemeral',
    source: 'tmpfs',
    fstype: 'tmpfs',
    mountPoint: `/run/kata-containers/sandbox/ephemeral/${name}`,
    options: ['remount', 'size=256M'],
  }));
  return {
    request: create(UpdateEphemeralMountsRequestSchema, { storages }),
    values: new Map([
      [
        'storages',
        storages.map(({ driver, fstype, mountPoint }) => [driver, fstype, sourcePlace(mountPoint)]),
      ],
    ]),
  };
}
