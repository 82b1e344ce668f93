import { basename } from 'node:path';
import { generate, isPinned, type Plan, renderPlan } from '@kata-agent/analysis';
import type { CommandDefinition } from '../../cli/definition.js';
import { programName } from '../../cli/report.js';
import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { podOptions, type Pods, readPods } from './pod-files.js';
import { setupText } from './workload-text.js';

export const configGenerate: CommandDefinition = {
  path: 'config generate',
  summary: 'write the least configuration for workloads of Kubernetes',
  details: [
    'Prints a configuration in TOML: the endpoints that the workloads need, and rules with the commands of each container, its variables, user, groups, capabilities, mounts, storages, devices and kernel parameters. Each line says which field of the pod it comes from. What kubectl needs beyond that (logs, exec, top) is left out: add it by hand.',
    'Values of variables are written where the pod, a ConfigMap among the files or the image states them: whoever reads the configuration reads them. Values of Secrets are never written.',
    'What a pod does not say, its image does. Without the configuration of an image there is no rule for what it decides; the text and standard error then say so.',
  ],
  options: podOptions,
  examples: [
    {
      line: 'kata-agent-ctl config generate --pod pod.yaml --image-config docker.io/library/nginx:1.27=nginx.json > config.toml',
      says: 'Then prove it: kata-agent-ctl config check config.toml --pod pod.yaml.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, options } = invocation;
    if (options.texts('pod').length === 0) {
      throw new CommandError(ExitCode.Usage, 'no workload is given', {
        help: ['name its file: --pod pod.yaml'],
      });
    }
    const pods = readPods(options);
    const plan = generate(pods.workloads, pods);
    const notes = notesOn(plan, pods);
    if (!options.json) for (const note of notes) io.stderr.write(`${programName}: note: ${note}\n`);
    const [tooLong] = plan.tooLong;
    if (tooLong !== undefined) {
      const { method, name, why } = tooLong;
      throw new CommandError(ExitCode.Failed, `${method}, ${name}: ${why.join('; ')}`, {
        help: [
          'left out, it would let anything pass: generate a configuration for fewer workloads at once, or have the pod name less',
        ],
      });
    }
    const text = renderPlan(plan, titleOf(pods, options.texts('pod')));
    const value = {
      configuration: text,
      endpoints: plan.endpoints,
      unconstrained: plan.unconstrained,
      notes,
    };
    await print(invocation, value, () => text);
    return ExitCode.Fine;
  },
};

function titleOf({ workloads, setup }: Pods, files: readonly string[]): readonly string[] {
  const names = workloads.map(({ kind, name }) => `${kind} ${name}`);
  return [
    `The least for ${names.join(', ')} (${files.map((file) => basename(file)).join(', ')}).`,
    `Generated for ${setupText(setup)}. Each line says which field of the pod it comes from.`,
  ];
}

function notesOn({ unconstrained }: Plan, { workloads, images }: Pods): readonly string[] {
  const unknown = new Set(
    workloads
      .flatMap(({ containers }) => containers.map(({ image }) => image))
      .filter((image) => !images.has(image)),
  );
  return [
    ...imageNotes([...unknown]),
    ...tagNotes(workloads),
    ...unconstrained.map(
      ({ method, name, why }) => `not constrained: ${name} of ${method}, since ${few(why, 2, '; ')}`,
    ),
    ...workloads.flatMap(({ notes }) => notes),
  ];
}

function imageNotes(images: readonly string[]): readonly string[] {
  const [image] = images;
  if (image === undefined) return [];
  if (images.length > 1)
    return [
      `${images.length} images are not known: ${few(images, 4, ', ')}: volumes that they declare are refused; give --image-config IMAGE=FILE for each`,
    ];
  return [
    `image ${image} is not known: volumes that it declares are refused; give --image-config ${image}=FILE`,
  ];
}

/** A tag is the host's to move: what runs is pinned by a digest alone. */
function tagNotes(workloads: Pods['workloads']): readonly string[] {
  const images = workloads.flatMap(({ containers }) => containers.map(({ image }) => image));
  const tagged = [...new Set(images.filter((image) => !isPinned(image)))];
  if (tagged.length === 0) return [];
  const verb = tagged.length === 1 ? 'has' : 'have';
  return [
    `${few(tagged, 4, ', ')} ${verb} a tag and no digest: any image that has the tag passes; write NAME@sha256:DIGEST in the pod`,
  ];
}

/** A pod of many containers would fill the screen; the configuration has all of it. */
function few(items: readonly string[], most: number, between: string): string {
  const more = items.length > most ? `${between}and ${items.length - most} more` : '';
  return items.slice(0, most).join(between) + more;
}
