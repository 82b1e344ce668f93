import type {
  ExpectedCall,
  FactName,
  ImageConfigs,
  OpenField,
  RuntimeSetup,
  Workload,
} from '@kata-agent/workloads';
import type { OpenFields } from '../write/plan.js';
import { processesOf, seesImages } from './image-rules.js';

/** What `runs_image_entrypoint` compares with the image. Values of variables that the pod sets are not among it. */
const compared: ReadonlySet<FactName> = new Set<FactName>(['cwd', 'user', 'groups']);

/** A call, the name of its workload if there are several, and a function that shortens paths in reasons. */
interface NamedCall {
  readonly call: ExpectedCall;
  readonly workload: string;
  readonly short: (reason: string) => string;
}

/**
 * Returns the fields that rules leave open, by container and reason: those whose values the input does not have, but for what the rule
 * about images compares.
 */
export function openFields(
  calls: readonly NamedCall[],
  workloads: readonly Workload[],
  setup: RuntimeSetup,
  images: ImageConfigs,
): readonly OpenFields[] {
  const pinned = seesImages(setup) ? containersOfImages(workloads, setup, images) : new Set<string>();
  const found = new Map<string, { container: string; fields: Set<string>; why: string }>();
  for (const { call, workload, short } of calls) {
    // Other calls of a container have the same origins.
    if (!['CreateContainer', 'ExecProcess', 'SignalProcess'].includes(call.method)) continue;
    const name = call.container ?? '';
    for (const open of call.open) {
      if ((call.method === 'SignalProcess') !== (open.fact === 'signal')) continue;
      if (isCompared(open, call, pinned)) continue;
      const container = name === '' ? '' : workload + name;
      const why = short(open.why);
      const key = JSON.stringify([workload, name, why]);
      const group = found.get(key) ?? { container, fields: new Set(), why };
      group.fields.add(short(open.field));
      found.set(key, group);
    }
  }
  return [...found.values()].map(({ fields, ...each }) => ({ ...each, fields: [...fields] }));
}

/** Reports whether the rule about images has the value that no other rule has. It is about created containers only. */
function isCompared(
  { fact }: OpenField,
  { method, container = '' }: ExpectedCall,
  pinned: ReadonlySet<string>,
): boolean {
  return method === 'CreateContainer' && compared.has(fact) && pinned.has(container);
}

/** Returns the names of containers whose process is compared with the image, in each workload that has them. */
function containersOfImages(
  workloads: readonly Workload[],
  setup: RuntimeSetup,
  images: ImageConfigs,
): ReadonlySet<string> {
  const processes = [...processesOf(workloads, setup, images).values()].filter(
    (process) => process !== undefined,
  );
  const without = new Set(
    processes.filter(({ comparison }) => comparison === undefined).map(({ container }) => container.name),
  );
  return new Set(processes.map(({ container }) => container.name).filter((name) => !without.has(name)));
}
