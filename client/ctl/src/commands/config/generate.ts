import { basename } from 'node:path';
import { generate, openLine, type Plan, renderPlan, unbuiltFeatures } from '@kata-agent/analysis';
import { gpuNotes, isPinned, pullsImages } from '@kata-agent/workloads';
import { type CommandDefinition, CommandError, ExitCode, type Options, print } from '@kata-agent/cli';
import { programName } from '../../program-name.js';
import { podOptions, type Pods, readPods } from './pod-files.js';
import { setupText, unbuiltLine } from './workload-text.js';

export const configGenerate: CommandDefinition = {
  path: 'config generate',
  summary: 'write the smallest configuration that Kubernetes workloads need',
  details: [
    'Prints a TOML configuration: the endpoints that the workloads need, and rules for each container’s commands, variables, user, groups, capabilities, mounts, storages, devices and sysctls. Each line names the pod field that it comes from. kubectl logs, exec and top are not served: add their endpoints by hand.',
    'Values of environment variables from the pod, from given ConfigMaps and from images appear in the output. Values of Secrets never do; of sealed ones, `sealed.…`, the resource that they name, or the digest of their text, so that they are unsealed in their place alone.',
    'Exits with 4, and prints the configuration, if a workload needs something that the agent refuses with any configuration, or a puller that the configuration does not have: notes on standard error name it, and what to do.',
    'With --puller built-in the guest pulls the images itself, and the configuration says so: each image of the workloads is pinned by the digest in its name, and its process is compared with what the image declares, if --image-layout or --image-config has that.',
    'A value that is not in the input opens only its field of its container: what an image without --image-config declares, a key of a ConfigMap that is not given, a value of a Secret, a word of a command line with a reference to one. A comment and notes on standard error name these fields; with --strict the command exits with 4 if there are any, and prints the configuration.',
  ],
  options: [
    ...podOptions,
    {
      flags: '--puller <name>',
      description:
        'the puller of images in the guest: with built-in, rules pin each image by its digest, and its process (needs --guest confidential or --runtime remote)',
      choices: ['built-in'],
    },
    {
      flags: '--strict',
      description:
        'exit with 4 if a field of a container is not constrained, since its value is not in the input',
    },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config generate --pod pod.yaml --image-config docker.io/library/nginx:1.27=nginx.json > config.toml',
      description: 'Then check it: kata-agent-ctl config check config.toml --pod pod.yaml.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, options } = invocation;
    if (options.texts('pod').length === 0) {
      throw new CommandError(ExitCode.Usage, 'no workload given', {
        help: ['name a file: --pod pod.yaml'],
      });
    }
    const pods = withPuller(await readPods(options), options);
    const plan = generate(pods.workloads, pods);
    const unbuilt = pods.workloads.flatMap((workload) =>
      unbuiltFeatures(workload, pods.setup, pods.images, {
        image: { store: 'memory', puller: pods.setup.puller ?? 'none' },
      }),
    );
    const notes = [
      ...unbuilt.map(
        (feature) =>
          `refused with ${feature.help === undefined ? 'any' : 'this'} configuration: ${unbuiltLine(feature)}`,
      ),
      ...notesOn(plan, pods),
    ];
    if (!options.json) for (const note of notes) io.stderr.write(`${programName}: note: ${note}\n`);
    const [tooLong] = plan.tooLong;
    if (tooLong !== undefined) {
      const { method, name, why } = tooLong;
      throw new CommandError(ExitCode.Failed, `${method}, ${name}: ${why.join('; ')}`, {
        help: [
          'without this rule every request would pass: generate a configuration for fewer workloads, or set fewer values in the pod',
        ],
      });
    }
    const text = renderPlan(plan, titleOf(pods, options.texts('pod')));
    const value = {
      configuration: text,
      endpoints: plan.endpoints,
      unconstrained: plan.open,
      unbuilt,
      notes,
    };
    await print(invocation, value, () => text);
    const isOpen = options.flag('strict') && plan.open.length > 0;
    return unbuilt.length === 0 && !isOpen ? ExitCode.Success : ExitCode.Mismatch;
  },
};

/** Applies `--puller`. Throws a CommandError if the guest pulls nothing (2), or an image is not named by its digest (1). */
function withPuller(pods: Pods, options: Options): Pods {
  if (options.text('puller') !== 'built-in') return pods;
  if (pods.setup.verifiedLayers !== undefined)
    throw new CommandError(ExitCode.Usage, '--puller built-in: with --layers the host provides the images', {
      help: ['pass one of the two'],
    });
  if (!pullsImages(pods.setup))
    throw new CommandError(ExitCode.Usage, '--puller built-in: with this setup the guest pulls no images', {
      help: ['add --guest confidential, or --runtime remote'],
    });
  for (const { image, path } of pods.workloads.flatMap(({ containers }) => containers))
    if (!isPinned(image))
      throw new CommandError(
        ExitCode.Failed,
        `${path}.image: ${image} has no digest, and the host can move a tag`,
        {
          help: [
            `write ${image}@sha256:DIGEST in the pod: skopeo inspect --format '{{.Digest}}' docker://${image}`,
          ],
        },
      );
  return { ...pods, setup: { ...pods.setup, puller: 'built-in' } };
}

function titleOf({ workloads, setup }: Pods, files: readonly string[]): readonly string[] {
  const names = workloads.map(({ kind, name }) => `${kind} ${name}`);
  return [
    `Smallest configuration for ${names.join(', ')} (${files.map((file) => basename(file)).join(', ')}).`,
    `Generated for ${setupText(setup)}. Each line names the pod field that it comes from.`,
  ];
}

function notesOn({ open }: Plan, { workloads, images, setup }: Pods): readonly string[] {
  const unknown = new Set(
    workloads
      .flatMap(({ containers }) => containers.map(({ image }) => image))
      .filter((image) => !images.has(image)),
  );
  return [
    ...imageNotes([...unknown]),
    ...tagNotes(workloads),
    ...layerNotes(workloads, images, setup),
    ...open.map((each) => `not constrained: ${openLine(each)}`),
    ...workloads.flatMap((workload) => [...workload.notes, ...gpuNotes(workload, setup)]),
  ];
}

function imageNotes(images: readonly string[]): readonly string[] {
  const [image] = images;
  if (image === undefined) return [];
  if (images.length > 1)
    return [
      `${images.length} images without a configuration: ${few(images, 4, ', ')}: volumes that they declare are denied; pass --image-config IMAGE=FILE for each`,
    ];
  return [
    `image ${image} has no configuration: volumes that it declares are denied; pass --image-config ${image}=FILE`,
  ];
}

/** The host can move a tag; only a digest pins an image. */
function tagNotes(workloads: Pods['workloads']): readonly string[] {
  const images = workloads.flatMap(({ containers }) => containers.map(({ image }) => image));
  const tagged = [...new Set(images.filter((image) => !isPinned(image)))];
  if (tagged.length === 0) return [];
  const verb = tagged.length === 1 ? 'has' : 'have';
  return [
    `${few(tagged, 4, ', ')} ${verb} a tag and no digest: the registry or the host chooses the image; write NAME@sha256:DIGEST in the pod`,
  ];
}

/** Without root hashes the host chooses what is in a root of layers. */
function layerNotes(
  workloads: Pods['workloads'],
  images: Pods['images'],
  { guest, snapshotter, verifiedLayers }: Pods['setup'],
): readonly string[] {
  if (verifiedLayers !== undefined || snapshotter === undefined || guest !== 'confidential') return [];
  const named = workloads.flatMap(({ containers }) => containers.map(({ image }) => image));
  const unverified = [...new Set(named)].filter(
    (image) => (images.get(image)?.rootHashes ?? []).length === 0,
  );
  const unknown =
    unverified.length === 0
      ? []
      : [
          `${few(unverified, 4, ', ')}: the root file system is not verified; add the dm-verity root hashes of the layers to the --image-config file, as "roothashes"`,
        ];
  return [
    ...unknown,
    'the pause container: its root file system is not verified, since runtime-rs 4.1 does not verify an image of one layer',
  ];
}

/** Limits the notes of a pod with many containers; the configuration has all of them. */
function few(items: readonly string[], max: number, between: string): string {
  const more = items.length > max ? `${between}and ${items.length - max} more` : '';
  return items.slice(0, max).join(between) + more;
}
