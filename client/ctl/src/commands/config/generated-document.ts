import { basename } from 'node:path';
import {
  type GeneratedPlan,
  generate,
  openLine,
  type Plan,
  renderPlan,
  type UnbuiltFeature,
  type WorkloadReport,
} from '@kata-agent/analysis';
import { gpuNotes, isPinned } from '@kata-agent/workloads';
import { CommandError, ExitCode, type Invocation } from '@kata-agent/cli';
import { checkPods } from './check-pods.js';
import { faulty, loadText } from './load-file.js';
import type { Pods } from './pod-files.js';
import { refusedLine, setupText, unbuiltLine } from './workload-text.js';

/** A configuration that was generated, loaded and checked. */
export interface GeneratedDocument {
  readonly workloads: Pods['workloads'];
  readonly text: string;
  /** The digest of the loaded configuration. */
  readonly digest: string;
  readonly plan: GeneratedPlan;
  /** What the workloads need and no configuration allows, or this one does not. */
  readonly unbuilt: readonly UnbuiltFeature[];
  /** Whether the workloads run with it. */
  readonly sufficient: boolean;
  readonly notes: readonly string[];
}

/**
 * Generates the configuration of these workloads, and checks it with them. Rejects with a CommandError (1) if it does not load, or a
 * rule would be too long.
 *
 * @param paths Where the workloads were read, which the title names.
 */
export async function generateDocument(
  pods: Pods,
  paths: readonly string[],
  invocation: Invocation,
): Promise<GeneratedDocument> {
  const allowPrivileged = invocation.options.flag('allowPrivileged');
  const plan = generate(pods.workloads, {
    ...pods,
    allowPrivileged,
    explicit: invocation.options.flag('explicit'),
  });
  refuseTooLong(plan);
  const text = renderPlan(plan, [...titleOf(pods, paths), `Rules constrain ${scoreText(plan)}.`]);
  const names = namesOf(pods);
  const loaded = await loadText(`the configuration of ${names}`, text, { sense: 'error' });
  if (!loaded.ok)
    throw faulty(invocation, loaded.diagnostics, {
      message: `the configuration of ${names} does not load`,
      help: 'correct what the errors name in the manifest: it has a value that no agent accepts',
    });
  const reports = await checkPods(loaded.configuration, pods);
  const unbuilt = reports.flatMap((report) => report.unbuilt);
  return {
    workloads: pods.workloads,
    text,
    digest: loaded.configuration.digest,
    plan,
    unbuilt,
    sufficient: reports.every(({ sufficient }) => sufficient),
    notes: [...reports.flatMap(reportNotes), ...privilegedNotes(plan), ...notesOnInput(plan, pods)],
  };
}

/** Returns the same for programs. */
export function documentValue({ text, plan, digest, unbuilt, sufficient, notes }: GeneratedDocument): object {
  const { endpoints, open, score } = plan;
  return { configuration: text, digest, sufficient, endpoints, score, unconstrained: open, unbuilt, notes };
}

function unbuiltNote(feature: UnbuiltFeature): string {
  return `refused with ${feature.help === undefined ? 'any' : 'this'} configuration: ${unbuiltLine(feature)}`;
}

/** Returns notes on what the agent refuses, and on calls that the rules refuse though they were made for them. */
export function reportNotes({ workload, unbuilt, refused }: WorkloadReport): readonly string[] {
  return [
    ...unbuilt.map(unbuiltNote),
    ...refused.map((call) => `${workload.kind} ${workload.name} will not run: ${refusedLine(call)}`),
  ];
}

/** Reports whether something of the input is not constrained, or was passed over: `--strict` refuses it. */
export function leavesOpen(pods: Pods, plans: readonly GeneratedPlan[]): boolean {
  return pods.unused.length > 0 || pods.passedOver.length > 0 || plans.some(({ open }) => open.length > 0);
}

/** What the configuration denies and `--allow-privileged` would allow. */
function privilegedNotes({ access: { privileged, allowsPrivileged } }: Plan): readonly string[] {
  if (privileged.length === 0 || allowsPrivileged) return [];
  return [
    'only privileged_containers = "allow" allows this, and opens the whole guest: pass --allow-privileged, or remove it from the pod',
  ];
}

/** Throws a CommandError (1) if a rule would be too long. */
export function refuseTooLong({ tooLong: [first] }: Plan): void {
  if (first === undefined) return;
  const { method, name, why } = first;
  throw new CommandError(ExitCode.Failed, `${method}, ${name}: ${why.join('; ')}`, {
    help: [
      'without this rule every request would pass: generate a configuration for fewer workloads, or set fewer values in the pod',
    ],
  });
}

function namesOf({ workloads }: Pods): string {
  return workloads.map(({ kind, name }) => `${kind} ${name}`).join(', ');
}

function titleOf(pods: Pods, files: readonly string[]): readonly string[] {
  return [
    `Smallest configuration for ${namesOf(pods)} (${files.map((file) => basename(file)).join(', ')}).`,
    `Generated for ${setupText(pods.setup)}. Each line names the pod field that it comes from.`,
    ...(pods.workloads.length === 1
      ? []
      : [
          `Union of ${pods.workloads.length} workloads: each may do what any of them may, also run the images of the others.`,
        ]),
  ];
}

function scoreText({ score: { constrained, facts } }: GeneratedPlan): string {
  return `${constrained} of ${facts} facts of the containers’ requests`;
}

/** Returns notes on what the input does not have. */
export function notesOnInput(plan: GeneratedPlan, { workloads, images, setup }: Pods): readonly string[] {
  const { open } = plan;
  const unknown = new Set(
    workloads
      .flatMap(({ containers }) => containers.map(({ image }) => image))
      .filter((image) => !images.has(image)),
  );
  return [
    ...imageNotes([...unknown]),
    ...tagNotes(workloads),
    ...layerNotes(workloads, images, setup),
    ...(open.length === 0 ? [] : [`rules constrain ${scoreText(plan)}`]),
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
