import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { guestAccess } from '@kata-agent/agent/requests';
import { generate, type OfflineAuthorizer, offlineAuthorizer, renderPlan } from '@kata-agent/analysis';
import {
  type ExpectedCall,
  expectedCalls,
  type ImageConfigs,
  parseImageConfig,
  readWorkloads,
  type RuntimeSetup,
  type Workload,
} from '@kata-agent/workloads';
import type { Configuration } from '@kata-agent/config';
import type { GuestAccess } from '@kata-agent/guest';
import { compileRules } from '@kata-agent/gate/rules';
import { loadedConfiguration } from '../harness/loaded-configuration.js';
import { repository } from '../harness/repository.js';

export const setups: readonly RuntimeSetup[] = [
  { runtime: 'go', guest: 'shared-fs' },
  { runtime: 'rs', guest: 'shared-fs' },
  { runtime: 'go', guest: 'confidential' },
  { runtime: 'rs', guest: 'confidential' },
  { runtime: 'rs', guest: 'confidential', emptyDirs: 'shared-fs' },
  { runtime: 'rs', guest: 'shared-fs', snapshotter: 'erofs' },
  { runtime: 'rs', guest: 'confidential', snapshotter: 'erofs' },
  // Each file's images get layers below.
  { runtime: 'rs', guest: 'confidential', snapshotter: 'erofs', verifiedLayers: new Map() },
];

const directory = join(repository, 'examples', 'workloads');

/** The files of the example workloads. */
export const workloadFiles: readonly string[] = readdirSync(directory).filter((name) =>
  name.endsWith('.yaml'),
);

export const images: ImageConfigs = new Map(
  ['docker.io/library/nginx:1.27', 'docker.io/library/postgres:17', 'docker.io/library/redis:7.4']
    .concat('docker.io/library/busybox:1.37', 'docker.io/library/python:3.13', 'registry.example/server:1')
    .map((name) => {
      const file = join(directory, 'images', `${basename(name).split(':')[0] ?? ''}.json`);
      return [name, parseImageConfig(readFileSync(file, 'utf8'))];
    }),
);

/** A workload in one setup: the calls of its pod, and their authorizer. */
export interface Expected {
  readonly name: string;
  readonly setup: RuntimeSetup;
  readonly workload: Workload;
  readonly calls: readonly ExpectedCall[];
  readonly authorizer: OfflineAuthorizer;
  /** The access to the guest in the configuration. */
  readonly access: GuestAccess;
}

/** @param rename changes the text of the file. */
export function workloadsIn(file: string, rename = (text: string): string => text): readonly Workload[] {
  return readWorkloads([{ file, text: rename(readFileSync(join(directory, file), 'utf8')) }]);
}

export function generatedFor(
  workloads: readonly Workload[],
  setup: RuntimeSetup,
  configs: ImageConfigs,
  explicit = false,
): string {
  return renderPlan(generate(workloads, { setup, images: configs, allowPrivileged: true, explicit }), []);
}

/** Evaluates the generated configuration of a file's workloads. */
export async function expectedOf(file: string, general: RuntimeSetup): Promise<readonly Expected[]> {
  const workloads = workloadsIn(file);
  const setup =
    general.verifiedLayers === undefined ? general : { ...general, verifiedLayers: layersOf(workloads) };
  const configuration = await loadedConfiguration(generatedFor(workloads, setup, images));
  const authorizer = authorizerWith(configuration);
  return workloads.map((workload) => ({
    name: `${file} ${workload.name}, ${setup.runtime}, ${setup.guest}, ${setup.snapshotter ?? ''}${setup.emptyDirs === undefined ? '' : ` emptyDirs ${setup.emptyDirs}`}${setup.verifiedLayers === undefined ? '' : ', verified'}`,
    setup,
    workload,
    calls: expectedCalls(workload, setup, images),
    authorizer,
    access: guestAccess(configuration),
  }));
}

/** Returns two layers for each image, of which the upper one has no salt. */
function layersOf(workloads: readonly Workload[]): NonNullable<RuntimeSetup['verifiedLayers']> {
  const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
  const images = workloads.flatMap(({ containers }) => containers.map(({ image }) => image));
  return new Map(
    images.map((image) => [
      image,
      [
        { rootHash: hash(`${image} base`), salt: '00ff', dataBlocks: 4096 },
        { rootHash: hash(`${image} top`), salt: '', dataBlocks: 16 },
      ],
    ]),
  );
}

export function authorizerWith(configuration: Configuration): OfflineAuthorizer {
  const rules = configuration.api.documents.flatMap((document) => document.rules);
  return offlineAuthorizer(configuration, compileRules(rules));
}
