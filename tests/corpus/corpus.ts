import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate, type GeneratedPlan, renderPlan } from '@kata-agent/analysis';
import type { Configuration } from '@kata-agent/config';
import {
  type ImageConfigs,
  type Manifests,
  parseImageConfig,
  readManifests,
  type RuntimeSetup,
  type Workload,
  WorkloadError,
} from '@kata-agent/workloads';
import { loadedConfiguration } from '../harness/loaded-configuration.js';
import { repository } from '../harness/repository.js';

// Manifests in the likeness of public ones, with the metadata of their images.

const directory = join(repository, 'tests/corpus');

/** The setups in which each workload is tried. */
export const setups: readonly RuntimeSetup[] = [
  { runtime: 'rs', guest: 'shared-fs' },
  { runtime: 'go', guest: 'confidential' },
];

/** The names of the manifests. */
export const manifests: readonly string[] = readdirSync(join(directory, 'manifests')).toSorted((a, b) =>
  a < b ? -1 : 1,
);

export const images: ImageConfigs = new Map(
  Object.entries(readJson('images.json') as Readonly<Record<string, string>>).map(([image, file]) => [
    image,
    parseImageConfig(readFileSync(join(directory, 'images', file), 'utf8')),
  ]),
);

/** Returns the workloads of a manifest, or the message of its error. */
export function readManifest(name: string): Manifests | string {
  try {
    return readManifests([{ file: name, text: readFileSync(join(directory, 'manifests', name), 'utf8') }]);
  } catch (error) {
    if (error instanceof WorkloadError) return error.message;
    throw error;
  }
}

/** The name of a workload's document in a setup, among those of its manifest. */
export function documentName({ kind, name }: Workload, { runtime, guest }: RuntimeSetup): string {
  return `${kind} ${name}, ${runtime} ${guest}`;
}

/** A generated configuration. */
export interface Generated {
  readonly plan: GeneratedPlan;
  readonly text: string;
  readonly configuration: Configuration;
}

/** Generates a workload's configuration in a setup, and loads it. `explicit`: all rules are written out. */
export async function generated(
  workload: Workload,
  setup: RuntimeSetup,
  { explicit = false }: { readonly explicit?: boolean } = {},
): Promise<Generated> {
  const plan = generate([workload], { setup, images, explicit });
  const text = renderPlan(plan, []);
  // The guest's puller is chosen by hand.
  const puller = setup.guest === 'confidential' ? '\n[image]\npuller = "cdh"\n' : '';
  return { plan, text, configuration: await loadedConfiguration(text + puller) };
}

/** Reads a JSON file of the corpus. */
export function readJson(name: string): unknown {
  return JSON.parse(readFileSync(join(directory, name), 'utf8'));
}

/** The path of a file of the corpus. */
export function corpusFile(name: string): string {
  return join(directory, name);
}
