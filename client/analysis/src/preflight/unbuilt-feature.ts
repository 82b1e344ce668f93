import { isMessage, type Message } from '@bufbuild/protobuf';
import { scratchPath } from '@kata-agent/catalogue/requested-root';
import { type RequestFeature, guestPull, requestFeatures } from '@kata-agent/catalogue/request-features';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { Configuration } from '@kata-agent/config';
import { privilegedContainers } from '@kata-agent/gate';
import {
  type ExpectedCall,
  expectedCalls,
  type ImageConfigs,
  originKey,
  type RuntimeSetup,
  type Workload,
} from '@kata-agent/workloads';
import { namedSysctls, sysctlKeyHas } from '../write/named-sysctls.js';

/** Something that a workload needs, and that the agent refuses whatever the gate and rules of the configuration allow. */
export interface UnbuiltFeature {
  /** `storage driver`, as in the table of request features, or `pod field`. */
  readonly kind: RequestFeature['kind'] | 'pod field';
  readonly name: string;
  /** The pod field that causes it. */
  readonly because: string;
  readonly reason: string;
  /** What to do; absent: no configuration allows it. */
  readonly help?: string;
}

const noPuller = {
  reason: 'the guest has to pull the image, and [image] puller is "none"',
  help: 'generate the configuration with --puller built-in, or write [image] puller = "built-in" or "cdh"',
};
const noDisk = {
  reason: `[image] store is "encrypted-disk", and the container has no disk at ${scratchPath} for its image`,
  help: `add a volume with volumeMode Block to volumeDevices of the container, with devicePath ${scratchPath}, or write store = "memory"`,
};
const notBuilt = 'the agent refuses it by name: it is not built';

/** Returns what a workload needs that the agent, or Kata, refuses; each name and field once, in the order of the calls. */
export function unbuiltFeatures(
  workload: Workload,
  setup: RuntimeSetup,
  images: ImageConfigs,
  configuration: Pick<Configuration, 'settings' | 'documents'> & {
    readonly image: Pick<Configuration['image'], 'puller' | 'store'>;
  },
): readonly UnbuiltFeature[] {
  const { image } = configuration;
  const calls = expectedCalls(workload, setup, images);
  // The data hub has one disk for the images of all containers, which the first one brings.
  const withDisk = calls.findIndex(({ request }) => hasScratch(request));
  const isStored = (index: number, request: Message): boolean =>
    image.store === 'memory' ||
    hasScratch(request) ||
    (image.puller === 'cdh' && withDisk >= 0 && withDisk < index);
  const found = [
    ...workload.unserved.map(
      ({ name, path, reason }): UnbuiltFeature => ({ kind: 'pod field', name, because: path, reason }),
    ),
    ...calls.flatMap(({ request, because }, index) =>
      featuresOf(request).flatMap(({ kind, name, built }): readonly UnbuiltFeature[] => {
        if (!built) return [{ kind, name, because, reason: notBuilt }];
        if (name !== guestPull || isPause(request)) return [];
        if (image.puller === 'none') return [{ kind, name, because, ...noPuller }];
        return isStored(index, request) ? [] : [{ kind, name, because, ...noDisk }];
      }),
    ),
    ...refusedSysctls(calls, configuration),
    ...workload.containers
      .filter(({ gpus }) => gpus > 0 && setup.runtime === 'remote')
      .map(
        ({ path }): UnbuiltFeature => ({
          kind: 'pod field',
          name: 'nvidia.com/gpu',
          because: `${path}.resources.limits`,
          reason: 'requests of peer pods with GPUs are not known',
        }),
      ),
  ];
  return [...new Map(found.map((each) => [`${each.kind} ${each.name} ${each.because}`, each])).values()];
}

/** Returns the sysctls that the guest refuses: those that `[agent] sysctls` has to name. */
function refusedSysctls(
  calls: readonly ExpectedCall[],
  configuration: Pick<Configuration, 'settings' | 'documents'>,
): readonly UnbuiltFeature[] {
  const allowed = new Set(configuration.settings.sysctls);
  const isPrivileged = privilegedContainers(configuration) === 'allow';
  return calls.flatMap(({ request, because, origins }) =>
    namedSysctls(request)
      .filter(({ name }) => !allowed.has(name) && !(isPrivileged && name.startsWith('net.')))
      .map(({ name, key, value }): UnbuiltFeature => {
        const help = sysctlKeyHas(name)
          ? `write sysctls = [${JSON.stringify(name)}] in [agent]`
          : 'set it in the guest image';
        const origin = origins.get(originKey('sysctls', [key, value])) ?? because;
        const reason = `sysctl ${name} is refused`;
        return { kind: 'pod field', name: 'sysctls', because: origin, reason, help };
      }),
  );
}

function featuresOf(request: Message): readonly RequestFeature[] {
  if (!isMessage(request, CreateContainerRequestSchema)) return [];
  const named: readonly (readonly [RequestFeature['kind'], string])[] = [
    ...request.storages.flatMap(({ driver, driverOptions }) => [
      ['storage driver', driver] as const,
      ...driverOptions.map((name) => ['storage option', name] as const),
    ]),
    ...request.devices.map(({ type }) => ['device type', type] as const),
  ];
  return named.flatMap(([kind, name]) =>
    requestFeatures.filter((row) => row.kind === kind && row.name === name),
  );
}

function hasScratch(request: Message): boolean {
  return (
    isMessage(request, CreateContainerRequestSchema) &&
    request.devices.some(({ containerPath }) => containerPath === scratchPath)
  );
}

/** The image of the sandbox's own container is in the guest. */
function isPause(request: Message): boolean {
  if (!isMessage(request, CreateContainerRequestSchema)) return false;
  return request.OCI?.Annotations['io.kubernetes.cri.container-type'] === 'sandbox';
}
