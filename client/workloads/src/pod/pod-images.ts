import { isNode } from 'yaml';
import { parseReference } from '@kata-agent/registry';
import { type Field, WorkloadError } from './field.js';
import { isImageName } from './image-name.js';
import { type ObjectFile, objectsOf } from './objects.js';
import { chooseTemplates, type PassedOver, templatesOf } from './pod-templates.js';
import { editFields, type FieldEdit, nodeAt } from './text-edits.js';

interface TemplateOptions {
  /** Paths of pod templates in objects of other kinds than those of Kubernetes, as for `readManifests`. */
  readonly templates: readonly string[];
}

/** An image of a workload: of a container of any kind, or of a volume. */
export interface PodImage {
  /** `spec.template.spec.containers[0].image`. */
  readonly path: string;
  /** `pod.yaml:7:14`. */
  readonly place: string;
  /** As in the pod. */
  readonly image: string;
  /** Whether it has a digest, of any algorithm. */
  readonly isPinned: boolean;
}

/** The images of a workload. */
export interface WorkloadImages {
  readonly kind: string;
  readonly name: string;
  readonly file: string;
  /** `pod.yaml:1:1`. */
  readonly place: string;
  readonly images: readonly PodImage[];
}

/**
 * Returns the images of the workloads of files, in the order of `readManifests`. Throws WorkloadError if there is no workload, and for an
 * image that has no name of one.
 */
export function readImages(
  files: readonly ObjectFile[],
  { templates }: TemplateOptions,
): { readonly workloads: readonly WorkloadImages[]; readonly passedOver: readonly PassedOver[] } {
  const { chosen, passedOver } = chooseTemplates(files, files.flatMap(objectsOf), templates);
  const workloads = chosen.map(({ object, template }) => ({
    kind: object.get('kind')?.text() ?? '',
    name: (object.in('metadata', 'name') ?? object.in('metadata', 'generateName'))?.text() ?? '',
    file: object.source.file,
    place: object.place,
    images: imageFields(template).map(podImage),
  }));
  return { workloads, passedOver };
}

/**
 * Appends digests to the names of images that have none, by the name in the pod. All other bytes of the text stay as they are. Throws
 * WorkloadError if the text of a name has other meanings too, as an alias.
 */
export function pinImages(
  file: ObjectFile,
  { templates, digests }: TemplateOptions & { readonly digests: ReadonlyMap<string, string> },
): string {
  return editFields(
    file,
    (objects) =>
      objects
        .flatMap((object) => templatesOf(object, templates).chosen)
        .flatMap(imageFields)
        .flatMap((field) => {
          const { image, isPinned } = podImage(field);
          const digest = digests.get(image);
          return isPinned || digest === undefined ? [] : [pinEdit(file.text, field, `@${digest}`)];
        }),
    ({ field }, path) => notOwn(field, `${path} would change too`),
  );
}

function imageFields(template: Field): readonly Field[] {
  const pod = template.required('spec');
  return [
    ...(['initContainers', 'containers', 'ephemeralContainers'] as const).flatMap((key) =>
      pod.list(key).map((container) => container.get('image')),
    ),
    ...pod.list('volumes').map((volume) => volume.in('image', 'reference')),
  ].filter((field) => field !== undefined);
}

function podImage(field: Field): PodImage {
  const image = field.text();
  if (!isImageName(image))
    throw new WorkloadError(field.place, `${field.path}: ${JSON.stringify(image)} is no name of an image`);
  return {
    path: field.path,
    place: field.place,
    image,
    isPinned: parseReference(image).digest !== undefined,
  };
}

/** Inserts text at the end of a value's text. */
function pinEdit(text: string, field: Field, suffix: string): FieldEdit {
  const { document, steps } = field.source;
  const node = nodeAt(document, steps);
  const range = isNode(node) ? node.range : undefined;
  if (range === undefined || range === null) throw notOwn(field, 'its value has no place in the text');
  const written = text.slice(range[0], range[1]).trimEnd();
  const end = range[0] + written.length - (/["']$/.test(written) ? 1 : 0);
  return { from: end, to: end, text: suffix, field, path: [], value: `${field.text()}${suffix}` };
}

function notOwn({ place, path }: Field, why: string): WorkloadError {
  return new WorkloadError(place, `${path} cannot be pinned: ${why}; write the image out`);
}
