import { type Field, WorkloadError } from './field.js';
import type { ObjectFile } from './objects.js';
import { workloadKinds } from './workload.js';

/** The path to the pod template in each kind: to what has the pod's metadata and specification. */
const templatePaths: { readonly [K in (typeof workloadKinds)[number]]: readonly string[] } = {
  Pod: [],
  Deployment: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  ReplicationController: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};

/** An object of another kind, from which pods may be made. */
export interface PassedOver {
  readonly kind: string;
  readonly name: string;
  /** `rollout.yaml:1:1`. */
  readonly place: string;
  /** The paths of its pod templates: `spec.template`. */
  readonly templates: readonly string[];
}

/** `rollout.yaml:1:1: Rollout web is skipped, and has a pod template: --pod-template spec.template`. */
export function passedOverText({ kind, name, place, templates }: PassedOver): string {
  const options = templates.map((path) => `--pod-template ${path}`).join(' or ');
  return `${place}: ${kind} ${name} is skipped, and has a pod template: ${options}`;
}

/** A pod template, and the object that has it. */
export interface ChosenTemplate {
  readonly object: Field;
  readonly template: Field;
}

/**
 * Returns the pod templates of the objects of files, in order, and the objects that are passed over. `named` are paths of templates in objects
 * of other kinds. Throws WorkloadError if there is no template.
 */
export function chooseTemplates(
  files: readonly ObjectFile[],
  objects: readonly Field[],
  named: readonly string[],
): { readonly chosen: readonly ChosenTemplate[]; readonly passedOver: readonly PassedOver[] } {
  const found = objects.map((object) => ({ object, ...templatesOf(object, named) }));
  const chosen = found.flatMap(({ object, chosen: own }) => own.map((template) => ({ object, template })));
  const passedOver = found.flatMap(({ object, chosen: own, others }) =>
    own.length === 0 && others.length > 0 ? [passedOverOf(object, others)] : [],
  );
  if (chosen.length > 0) return { chosen, passedOver };
  const [first] = passedOver;
  throw new WorkloadError(
    files.map(({ file }) => file).join(', '),
    `no workload found: no ${workloadKinds.join(', ')}${first === undefined ? '' : `; ${passedOverText(first)}`}`,
  );
}

/** Describes an object that is passed over, though it has these templates. */
function passedOverOf(object: Field, templates: readonly Field[]): PassedOver {
  return {
    kind: object.get('kind')?.text() ?? '',
    name: object.in('metadata', 'name')?.text() ?? '',
    place: object.place,
    templates: templates.map(({ path }) => path),
  };
}

/** The pod templates of an object: those of which a workload is made, and others. */
export function templatesOf(
  object: Field,
  named: readonly string[],
): { readonly chosen: readonly Field[]; readonly others: readonly Field[] } {
  const kind = workloadKinds.find((known) => known === object.get('kind')?.text());
  if (kind !== undefined)
    return { chosen: [templatePaths[kind].reduce((field, key) => field.required(key), object)], others: [] };
  const all = podTemplatesIn(object);
  return {
    chosen: all.filter(({ path }) => named.includes(path)),
    others: all.filter(({ path }) => !named.includes(path)),
  };
}

/** Returns what has a specification with containers of images, at any depth. */
function podTemplatesIn(field: Field): readonly Field[] {
  return field
    .children()
    .flatMap((child) => [...(isPodTemplate(child) ? [child] : []), ...podTemplatesIn(child)]);
}

function isPodTemplate(field: Field): boolean {
  const [containers] = field.child('spec')?.child('containers')?.children() ?? [];
  return containers?.child('image') !== undefined;
}
