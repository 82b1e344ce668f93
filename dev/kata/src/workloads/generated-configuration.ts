// The configuration that `config generate` writes for a pod, with the endpoints that a test needs in addition.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageConfig, imageName } from '../cri/image.js';
import { ctlProgram } from '../guest/paths.js';
import type { Container, DataByName, Manifests, Pod } from './manifests.js';

/** `config generate` ends with this code if the agent refuses something in the pod with this configuration. */
const refusedExit = 4;

/** For `kubectl exec`, `kubectl logs` and `kubectl top`, which no generated configuration serves. */
const testEndpoints = [
  'ExecProcess',
  'ReadStdout',
  'ReadStderr',
  'WriteStdin',
  'CloseStdin',
  'TtyWinResize',
  'StatsContainer',
];

export type Generated = { readonly text: string } | { readonly refused: string };

/** `image`: of all containers. */
export function generatedConfiguration(
  pod: Pod,
  manifests: Manifests,
  directory: string,
  { runtime = 'go', image = imageName }: { readonly runtime?: 'go' | 'remote'; readonly image?: string } = {},
): Generated {
  const objects = join(directory, 'objects.json');
  const config = join(directory, 'image.json');
  writeFileSync(config, JSON.stringify(imageConfig));
  writeFileSync(objects, JSON.stringify(listOf(pod, manifests, image)));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      ctlProgram,
      'config',
      'generate',
      '--runtime',
      runtime,
      '--pod',
      objects,
      '--image-config',
      `${image}=${config}`,
    ],
    { encoding: 'utf8' },
  );
  const note = stderr.trim().split('\n').at(0) ?? '';
  // A generated configuration has no [image], which the caller adds.
  const isComplete = status === 0 || (status === refusedExit && note.includes('[image] puller is "none"'));
  if (status === refusedExit && !isComplete) return { refused: note };
  if (!isComplete) throw new Error(`config generate: ${stderr}`);
  const list = 'allowed_endpoints = [\n';
  if (!stdout.includes(list)) throw new Error('the generated configuration has no list of endpoints');
  const added = testEndpoints.filter((name) => !stdout.includes(`  "${name}",`));
  return { text: stdout.replace(list, `${list}${added.map((name) => `  "${name}",\n`).join('')}`) };
}

function listOf({ metadata, spec }: Pod, { configMaps, secrets }: Manifests, image: string): object {
  const withImage = (container: Container): object => ({ ...container, image });
  const { containers, initContainers = [] } = spec;
  const objects = (kind: string, data: DataByName): readonly object[] =>
    [...data].map(([name, values]) => ({
      apiVersion: 'v1',
      kind,
      metadata: { name },
      ...(kind === 'Secret' ? { stringData: values } : { data: values }),
    }));
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata,
        spec: {
          ...spec,
          initContainers: initContainers.map(withImage),
          containers: containers.map(withImage),
        },
      },
      ...objects('ConfigMap', configMaps),
      ...objects('Secret', secrets),
    ],
  };
}
