import type { FactName, ImageConfigs, RuntimeSetup, Workload } from '@kata-agent/workloads';
import type { Unconstrained } from '../write/plan.js';
import { processesOf, seesImages } from './image-rules.js';

/** What `runs_image_entrypoint` compares with the image. Values of further variables are not among it. */
const compared: ReadonlySet<FactName | undefined> = new Set<FactName>([
  'commandLine',
  'cwd',
  'user',
  'groups',
]);

/**
 * Returns the facts that no rule constrains: those without a rule of their own, but for the containers whose process the rule about
 * images compares.
 */
export function unconstrainedFacts(
  withoutRule: readonly Unconstrained[],
  workloads: readonly Workload[],
  setup: RuntimeSetup,
  images: ImageConfigs,
): readonly Unconstrained[] {
  if (!seesImages(setup)) return withoutRule;
  const processes = [...processesOf(workloads, setup, images).values()].filter(
    (process) => process !== undefined,
  );
  const open = processes.filter(({ comparison }) => comparison === undefined);
  const containers = [...new Set(open.map(({ container }) => container.name))];
  return withoutRule.flatMap((each) => {
    if (each.method !== 'CreateContainer' || !compared.has(each.fact)) return [each];
    if (containers.length === 0) return [];
    return [open.length === processes.length ? each : { ...each, containers }];
  });
}
