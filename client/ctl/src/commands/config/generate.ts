import { isPinned, pullsImages } from '@kata-agent/workloads';
import { type CommandDefinition, CommandError, ExitCode, type Options, print } from '@kata-agent/cli';
import { programName } from '../../program-name.js';
import { documentValue, type GeneratedDocument, generateDocument, leavesOpen } from './generated-document.js';
import { writeDocuments } from './generated-files.js';
import { readManifestFiles } from './manifest-files.js';
import { podOptions, type Pods, readPods, inputNotes } from './pod-files.js';

export const configGenerate: CommandDefinition = {
  path: 'config generate',
  summary: 'write the smallest configuration that Kubernetes workloads need',
  details: [
    'Writes one configuration for each workload. For one it is printed; for several, --out names the directory of their files, KIND-NAME.toml, with an index.json. With --union they get one together, in which each may do what any of them may.',
    'Prints a TOML configuration: the endpoints that the workloads need, and for each container its commands, variables, user, groups, capabilities, mounts, storages, devices and sysctls. Each line names the pod field that it comes from. kubectl logs, exec and top are served only as far as --allow names them.',
    'The rules that compare requests with this are the same for every pod of a runtime: the configuration names the profile of the agent that has them (config profile), by its digest, and an agent without exactly these rules does not start with it. With --explicit all rules are written out, as they are with --union, --layers and a snapshotter, for which there is no profile.',
    'Values of environment variables from the pod, from given ConfigMaps and from images appear in the output. Values of Secrets never do; of sealed ones, `sealed.…`, the resource that they name, or the digest of their text, so that they are unsealed in their place alone.',
    'Checks each configuration as config check --pod does. Exits with 1 if it does not load. Exits with 4, and prints the configuration, if it is not sufficient: the workload needs something that the agent refuses with any configuration, or a puller that the configuration does not have, or a rule refuses a call of it. Notes on standard error name it, and what to do.',
    'What a pod has beside every other, it gets by a key of its own: devices, guest_paths, network_namespaces, capabilities, share_processes, user_namespaces. What only privileged_containers = "allow" allows, such as privileged: true, is denied without --allow-privileged: the command prints the configuration, names the reasons, and exits with 4.',
    'With --puller built-in the guest pulls the images itself, and the configuration says so: each image of the workloads is pinned by the digest in its name, and its process is compared with what the image declares, if --image-layout or --image-config has that.',
    'A value that is not in the input opens only its field of its container: what an image without --image-config declares, a key of a ConfigMap that is not given, a value of a Secret, a word of a command line with a reference to one. A comment and notes on standard error name these fields; with --strict the command exits with 4 if there are any, and prints the configuration; also if a file is given for an image that no container has, or an object with a pod template is skipped, since it is of a kind that Kubernetes itself does not have.',
  ],
  operands: [
    {
      syntax: '[pods...]',
      description: 'Kubernetes objects, as --pod takes them: files, directories, or - for standard input',
    },
  ],
  options: [
    ...podOptions,
    { flags: '--out <dir>', description: 'write a file for each workload to this directory; it is made' },
    {
      flags: '--union',
      description: 'write one configuration for all workloads, in which each may do what any of them may',
    },
    {
      flags: '--explicit',
      description: 'write out all rules, also those that a profile of the agent has',
    },
    {
      flags: '--allow-privileged',
      description:
        'write privileged_containers = "allow" if a container needs it: it opens the whole guest (without it: exit with 4)',
    },
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
      line: 'kata-agent-ctl config generate pod.yaml --image-config docker.io/library/nginx:1.27=nginx.json > config.toml',
      description: 'Then check it: kata-agent-ctl config check config.toml --pod pod.yaml.',
    },
    {
      line: 'kata-agent-ctl config generate shop.yaml --out configurations',
      description:
        'Writes configurations/Deployment-frontend.toml, and so on, and configurations/index.json.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, options, operands } = invocation;
    const paths = [...operands, ...options.texts('pod')];
    if (paths.length === 0)
      throw new CommandError(ExitCode.Usage, 'no workload given', {
        help: [`name a file: ${programName} config generate pod.yaml`],
      });
    const pods = withPuller(await readPods(options, readManifestFiles(paths)), options);
    const out = options.text('out');
    const documents: GeneratedDocument[] = [];
    for (const group of groupsOf(pods, options))
      documents.push(await generateDocument(group, paths, invocation));
    const written = out === undefined ? undefined : writeDocuments(documents, out);
    const notes = [
      ...inputNotes(pods),
      ...documents.flatMap((each) => each.notes),
      ...(written?.notes ?? []),
    ];
    if (!options.json) for (const note of notes) io.stderr.write(`${programName}: note: ${note}\n`);
    if (written === undefined)
      await print(invocation, documents.map(documentValue)[0] ?? {}, () => documents[0]?.text ?? '');
    else await print(invocation, written.index, () => written.files.map((file) => `${file}\n`).join(''));
    const plans = documents.map(({ plan }) => plan);
    const isOpen = options.flag('strict') && leavesOpen(pods, plans);
    const isSufficient = documents.every(({ sufficient }) => sufficient);
    return isSufficient && !isOpen ? ExitCode.Success : ExitCode.Mismatch;
  },
};

/** Returns the workloads of each configuration. Throws a CommandError (2) if there are several and no option says what to do. */
function groupsOf(pods: Pods, options: Options): readonly Pods[] {
  const { workloads } = pods;
  if (options.flag('union') && options.text('out') !== undefined)
    throw new CommandError(ExitCode.Usage, '--union and --out: one configuration is printed', {
      help: ['pass one of the two'],
    });
  if (options.flag('union') || workloads.length < 2) return [pods];
  if (options.text('out') !== undefined)
    return workloads.map((workload) => ({ ...pods, workloads: [workload] }));
  throw new CommandError(
    ExitCode.Usage,
    `${workloads.length} workloads: in one configuration each may run the images and commands of the others`,
    {
      help: [
        'write one for each of them with --out DIR',
        'write one for all with --union, if their pods may run each other’s containers',
      ],
    },
  );
}

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
