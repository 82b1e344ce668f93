import { sharedDirectory } from '@kata-agent/catalogue';
import {
  type ExpectedCall,
  type RuntimeSetup,
  celLiteral,
  layerOption,
  wrappedList,
} from '@kata-agent/workloads';
import type { ExtraRule } from '../write/extra-rule.js';
import { isMessage } from '@bufbuild/protobuf';
import { CreateSandboxRequestSchema } from '@kata-agent/protocol/agent';
import { asCreate } from './expected-message.js';

const shared = `${sharedDirectory}/`;

/** Rules that bind each mount and each storage to its source. */
export function sourceRules(calls: readonly ExpectedCall[], setup: RuntimeSetup): readonly ExtraRule[] {
  return [
    files(setup),
    watched,
    storageFields(setup),
    ...sandboxStorages(calls),
    ...(setup.guest === 'confidential' ? [copiedFiles(calls)] : []),
  ];
}

/**
 * The runtimes name a shared file `ID-RANDOM-NAME`, where NAME is the last part of the mount point; runtime-rs writes
 * `sandbox` instead of the ID if it shares files. So no file can replace another, or that of another container.
 */
function files({ runtime, guest }: RuntimeSetup): ExtraRule {
  const owner = runtime === 'rs' && guest === 'shared-fs' ? '"sandbox"' : 'request.container_id';
  const directory = runtime === 'rs' && guest === 'shared-fs' ? `${shared}passthrough/` : shared;
  const pattern = `^${directory}(watchable/)?[A-Za-z0-9_.]+(-[A-Za-z0-9_.]+)*-[a-z0-9]{16}-[^/]+$`;
  const last = (path: string): string => `${path}.split("/")[${path}.split("/").size() - 1]`;
  return {
    method: 'CreateContainer',
    name: 'file-sources',
    description: 'Sources in the shared directory are named by container and mount point. Every pod.',
    expression:
      `mounts.all(m, m.type != "bind" || !m.source.within(${celLiteral(shared)}) ||\n` +
      `  m.source.matches(${celLiteral(pattern)}) &&\n` +
      `  ${last('m.source')}.startsWith(${owner} + "-") &&\n` +
      `  m.source.endsWith("-" + ${last('m.destination')}) &&\n` +
      `  ${last('m.source')}.size() == ${owner}.size() + 18 + ${last('m.destination')}.size())`,
    message: 'this is not the source of this mount',
  };
}

const watched: ExtraRule = {
  method: 'CreateContainer',
  name: 'watched-sources',
  description: 'A watched volume is shown next to its source, with the same name. configMap, secret',
  expression:
    'request.storages.all(s, s.driver != "watchable-bind" || s.mount_point.split("/watchable/").size() == 2 &&\n' +
    '  s.source == s.mount_point.split("/watchable/")[0] + "/" + s.mount_point.split("/watchable/")[1])',
  message: 'this is not the directory of this volume',
};

function storageFields({ snapshotter }: RuntimeSetup): ExtraRule {
  const layer = snapshotter === 'erofs' ? `${celLiteral(layerOption)} in s.options ||\n  ` : '';
  return {
    method: 'CreateContainer',
    name: 'storage-fields',
    description: 'The host cannot choose these storage sources, and no disk is used twice. Every pod.',
    expression:
      `request.storages.all(s, ${layer}(s.driver != "local" || s.source == "local") && s.shared == (s.driver == "blk") &&\n` +
      '  (s.driver != "blk" || request.storages.exists_one(o, o.source == s.source)) &&\n' +
      '  (s.driver != "image_guest_pull" || s.driver_options.size() <= 1 &&\n' +
      '    s.driver_options.all(o, o.startsWith("image_guest_pull="))))',
    message: 'no storage of the workload is like this',
  };
}

function sandboxStorages(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  return calls
    .flatMap(({ request }) => (isMessage(request, CreateSandboxRequestSchema) ? [request.storages] : []))
    .slice(0, 1)
    .map((storages) => ({
      method: 'CreateSandbox' as const,
      name: 'storages-there',
      description: 'Each storage of the sandbox is present once, with its source. Every pod.',
      expression:
        `request.storages.size() == ${storages.length} && ` +
        `${celLiteral(storages.map(({ mountPoint, source }) => [mountPoint, source]))}\n` +
        '  .all(w, request.storages.exists(s, s.mount_point == w[0] && s.source == w[1])) &&\n' +
        'request.storages.all(s, !s.shared && !has(s.fs_group))',
      message: 'the sandbox has other storages',
    }));
}

/** Only files that a container of the workload mounts are copied. */
function copiedFiles(calls: readonly ExpectedCall[]): ExtraRule {
  const names = new Set(
    calls
      .flatMap((call) => asCreate(call)?.OCI?.Mounts ?? [])
      // A mount of type `local` has its directory from a storage.
      .filter(({ type, source }) => type === 'bind' && source.startsWith(shared))
      .map(({ source }) => source.split('/')[5]?.replace(/^.*?-[0-9a-f]{16}-/, '') ?? ''),
  );
  return {
    method: 'CopyFile',
    name: 'mounted-names',
    description: 'Only files that a container mounts are copied. Every pod.',
    expression: `${wrappedList([...names])}.exists(n,\n  path.endsWith("-" + n) || path.contains("-" + n + "/"))`,
    message: 'no container of the workload mounts this file',
  };
}
