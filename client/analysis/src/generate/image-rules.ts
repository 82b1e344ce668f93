import { coversOf, programWithoutRoot } from '@kata-agent/gate';
import { enginePath } from '@kata-agent/catalogue';
import type { CreateContainerRequest } from '@kata-agent/protocol/agent';
import {
  type Container,
  celLiteral,
  digestIn,
  type ExpectedCall,
  expectedCalls,
  type ImageConfig,
  type ImageConfigs,
  pullsImages,
  type RuntimeSetup,
  serviceNames,
  type Workload,
} from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';
import { asCreate, eachContainer } from './each-container.js';

/** Reports whether rules can see the images of a setup: the built-in puller verifies them. */
export function seesImages(setup: RuntimeSetup): boolean {
  return setup.puller === 'built-in' && pullsImages(setup);
}

/**
 * The rule about images that the guest pulls: each container has the image of its digest, and runs its process as far as
 * the pod does not replace it; the pause container is the guest's own.
 *
 * @throws RangeError if the name of an image has no digest
 */
export function imageRules(
  workloads: readonly Workload[],
  setup: RuntimeSetup,
  images: ImageConfigs,
): readonly ExtraRule[] {
  if (!seesImages(setup)) return [];
  const processes = processesOf(workloads, setup, images);
  const notCompared = new Set<string>();
  const expression = eachContainer([...processes.keys()], 'CreateContainer', (call) => {
    const process = processes.get(call);
    if (process === undefined) return 'image.from == "pause_bundle"';
    const digest = digestIn(process.container.image);
    if (digest === undefined) throw new RangeError(`image ${process.container.image} has no digest`);
    const pinned = `image.digest == ${celLiteral(digest)}`;
    if (process.comparison !== undefined) return `${pinned} &&\n  ${process.comparison}`;
    notCompared.add(`- ${process.container.name}: ${process.why}`);
    return pinned;
  });
  return [
    {
      method: 'CreateContainer',
      name: 'verified-images',
      description: [
        'The image that the guest has pulled and verified, and the process that it declares. containers[].image',
        ...(notCompared.size === 0
          ? []
          : ['Not compared with the process of the image; the other rules restrict it:', ...notCompared]),
      ].join('\n'),
      expression: expression ?? 'false',
      message: 'this is not the image of this container, or not its process',
    },
  ];
}

/** A container, and the CEL that compares its process with its image, or why there is none. */
export type ComparedProcess = { readonly container: Container } & (
  | { readonly comparison: string }
  | { readonly comparison?: undefined; readonly why: string }
);

/** Returns the process of each expected call that creates a container; undefined: the pause container's. */
export function processesOf(
  workloads: readonly Workload[],
  setup: RuntimeSetup,
  images: ImageConfigs,
): ReadonlyMap<ExpectedCall, ComparedProcess | undefined> {
  return new Map(
    workloads.flatMap((workload) =>
      expectedCalls(workload, setup, images)
        .filter(({ method }) => method === 'CreateContainer')
        .map((call) => {
          const container = workload.containers.find(({ name }) => name === call.container);
          const request = asCreate(call);
          if (container === undefined || request === undefined) return [call, undefined] as const;
          const image = images.get(container.image);
          return [call, { container, ...comparison({ workload, container, request, call, image }) }] as const;
        }),
    ),
  );
}

interface Compared {
  readonly workload: Workload;
  readonly container: Container;
  readonly request: CreateContainerRequest;
  readonly call: ExpectedCall;
  readonly image: ImageConfig | undefined;
}

/** Returns a call of `runs_image_entrypoint`, or why the process is not the image's, or is not known. */
function comparison(compared: Compared): { readonly comparison: string } | { readonly why: string } {
  const { container, image } = compared;
  if (image === undefined) return { why: 'the configuration of the image is not given (--image-layout)' };
  if (container.command !== undefined) return { why: 'the pod has a command of its own' };
  const user = userOf(compared);
  if (user === undefined) return { why: 'the pod replaces the group of a user that the image names' };
  const options = Object.entries({
    env: variablesOf(compared),
    mounts: mountsOf(compared),
    user,
    groups: groupsOf(compared.workload),
    cwd: container.workingDir === undefined ? [] : [container.workingDir],
  }).filter(([, values]) => values.length > 0);
  const entries = [
    ...argsOf(compared),
    ...options.map(([key, values]) => `${celLiteral(key)}: ${celLiteral(values)}`),
  ];
  if (entries.length === 0) return { comparison: 'runs_image_entrypoint()' };
  return { comparison: `runs_image_entrypoint({\n    ${entries.join(',\n    ')}})` };
}

/** The arguments that the pod gives to the entrypoint; empty: those of the image. */
function argsOf({ container, image, call }: Compared): readonly string[] {
  if (container.args === undefined) return [];
  return [`"args": [${(call.words ?? []).slice(image?.entrypoint.length ?? 0).join(', ')}]`];
}

/** Names of the variables that are not the image's; another rule has their values. */
function variablesOf({ workload, container, image, request }: Compared): readonly string[] {
  const ofImage = new Set(image?.env);
  if (![...ofImage].some((entry) => entry.startsWith('PATH='))) ofImage.add(`PATH=${enginePath}`);
  const declared = new Set([...ofImage].map((entry) => entry.split('=', 1)[0]));
  const services = workload.hasServiceLinks ? serviceNames.any : serviceNames.apiServer;
  const names = (request.OCI?.Process?.Env ?? [])
    .filter((entry) => !ofImage.has(entry))
    .map((entry) => entry.split('=', 1)[0] ?? '')
    .filter((name) => !services.test(name) || declared.has(name));
  const unknown = container.variableSources
    .filter(({ object }) => !workload.keys.has(object))
    .map(({ prefix }) => `${prefix}*`);
  return [
    ...new Set([...names, ...unknown]),
    ...(workload.hasServiceLinks ? ['*_SERVICE_*', '*_PORT*'] : ['KUBERNETES_*']),
  ];
}

/** Mounts of the pod that would hide a part of the program, as far as its paths tell. */
function mountsOf({ request, image }: Compared): readonly string[] {
  const destinations = (request.OCI?.Mounts ?? []).map(({ destination }) => destination);
  const covers = coversOf(programWithoutRoot(request, image ?? { user: '' }), destinations, []);
  return [...new Set(covers.map(({ mount }) => mount))].filter((mount) => destinations.includes(mount));
}

/** The user that the pod sets; empty: the image's. Undefined: it cannot be written. */
function userOf({ workload, container, image }: Compared): readonly string[] | undefined {
  const uid = container.user ?? workload.user;
  const gid = container.group ?? workload.group;
  if (uid !== undefined) return [gid === undefined ? String(uid) : `${uid}:${gid}`];
  if (gid === undefined) return [];
  const [name = ''] = (image?.user || '0').split(':');
  return /^\d+$/.test(name) ? [`${name}:${gid}`] : undefined;
}

function groupsOf({ supplementalGroups, volumeGroup }: Workload): readonly string[] {
  return [...new Set([...supplementalGroups, ...(volumeGroup === undefined ? [] : [volumeGroup])])].map(
    String,
  );
}
