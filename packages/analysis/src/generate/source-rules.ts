import type { ExpectedCall } from '../calls/expected-call.js';
import type { RuntimeSetup } from '../calls/runtime-setup.js';
import { celLiteral, wrappedList } from '../write/cel-literal.js';
import type { ExtraRule } from '../write/extra-rule.js';
import { isMessage } from '@bufbuild/protobuf';
import { CreateSandboxRequestSchema } from '@kata-agent/protocol/agent';
import { asCreate } from './expected-message.js';

const shared = '/run/kata-containers/shared/containers/';

/** Each mount and each storage has the source that belongs to it. */
export function sourceRules(calls: readonly ExpectedCall[], setup: RuntimeSetup): readonly ExtraRule[] {
  return [
    files(setup),
    watched,
    storageFields,
    ...sandboxStorages(calls),
    ...(setup.guest === 'confidential' ? [copiedFiles(calls)] : []),
  ];
}

/**
 * The runtimes name a shared file `ID-RANDOM-NAME`, where the name is the last of the mount's destination; runtime-rs writes
 * `sandbox` for the identifier where it shares files. So no file stands in the place of another, nor that of another container.
 */
function files({ runtime, guest }: RuntimeSetup): ExtraRule {
  const owner = runtime === 'rs' && guest === 'shared-fs' ? '"sandbox"' : 'request.container_id';
  const folder = runtime === 'rs' && guest === 'shared-fs' ? `${shared}passthrough/` : shared;
  const pattern = `^${folder}(watchable/)?[A-Za-z0-9_.]+(-[A-Za-z0-9_.]+)*-[a-z0-9]{16}-[^/]+$`;
  const last = (path: string): string => `${path}.split("/")[${path}.split("/").size() - 1]`;
  return {
    method: 'CreateContainer',
    name: 'file-sources',
    says: 'What is mounted of the shared folder is named by its container and by its place in it. Every pod.',
    expression:
      `mounts.all(m, m.type != "bind" || !m.source.within(${celLiteral(shared)}) ||\n` +
      `  m.source.matches(${celLiteral(pattern)}) &&\n` +
      `  ${last('m.source')}.startsWith(${owner} + "-") &&\n` +
      `  m.source.endsWith("-" + ${last('m.destination')}) &&\n` +
      `  ${last('m.source')}.size() == ${owner}.size() + 18 + ${last('m.destination')}.size())`,
    message: 'this source is not that of this mount',
  };
}

const watched: ExtraRule = {
  method: 'CreateContainer',
  name: 'watched-sources',
  says: 'What the guest watches lies beside the place where it shows it, under the same name. configMap, secret, projected',
  expression:
    'request.storages.all(s, s.driver != "watchable-bind" || s.mount_point.split("/watchable/").size() == 2 &&\n' +
    '  s.source == s.mount_point.split("/watchable/")[0] + "/" + s.mount_point.split("/watchable/")[1])',
  message: 'this folder is not that of this volume',
};

const storageFields: ExtraRule = {
  method: 'CreateContainer',
  name: 'storage-fields',
  says: 'Sources of storages that are not the host’s to choose, and no disk twice. Every pod.',
  expression:
    'request.storages.all(s, (s.driver != "local" || s.source == "local") && s.shared == (s.driver == "blk") &&\n' +
    '  (s.driver != "blk" || request.storages.exists_one(o, o.source == s.source)) &&\n' +
    '  (s.driver != "image_guest_pull" || s.driver_options.size() <= 1 &&\n' +
    '    s.driver_options.all(o, o.startsWith("image_guest_pull="))))',
  message: 'no storage of the workload is like this',
};

function sandboxStorages(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  return calls
    .flatMap(({ request }) => (isMessage(request, CreateSandboxRequestSchema) ? [request.storages] : []))
    .slice(0, 1)
    .map((storages) => ({
      method: 'CreateSandbox' as const,
      name: 'storages-there',
      says: 'Each storage of the sandbox is there, once, with its source. Every pod.',
      expression:
        `request.storages.size() == ${storages.length} && ` +
        `${celLiteral(storages.map(({ mountPoint, source }) => [mountPoint, source]))}\n` +
        '  .all(w, request.storages.exists(s, s.mount_point == w[0] && s.source == w[1])) &&\n' +
        'request.storages.all(s, !s.shared && !has(s.fs_group))',
      message: 'the sandbox has other storages',
    }));
}

/** Only files that some container of the workload mounts. */
function copiedFiles(calls: readonly ExpectedCall[]): ExtraRule {
  const names = new Set(
    calls
      .flatMap((call) => asCreate(call)?.OCI?.Mounts ?? [])
      .filter(({ source }) => source.startsWith(shared))
      .map(({ source }) => source.split('/')[5]?.replace(/^.*?-[0-9a-f]{16}-/, '') ?? ''),
  );
  return {
    method: 'CopyFile',
    name: 'mounted-names',
    says: 'Files that are copied are those that some container mounts. Every pod.',
    expression: `${wrappedList([...names])}.exists(n,\n  path.endsWith("-" + n) || path.contains("-" + n + "/"))`,
    message: 'no container of the workload mounts this file',
  };
}
