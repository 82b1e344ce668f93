import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  type CreateSandboxRequest,
  CreateSandboxRequestSchema,
  type CopyFileRequest,
  CopyFileRequestSchema,
} from '@kata-agent/protocol/agent';
import { ctl } from './tenant-client.js';

/** A pod of a confidential guest. */
export interface GeneratedPod {
  /** What `config generate` makes of it. */
  readonly configuration: string;
  readonly sandbox: CreateSandboxRequest;
  readonly copies: readonly CopyFileRequest[];
  readonly pause: CreateContainerRequest;
  readonly containers: ReadonlyMap<string, CreateContainerRequest>;
}

/** A container of the pod: its image, and the configuration of that. */
export interface PodContainer {
  readonly name: string;
  readonly image: string;
  readonly config: Buffer;
}

const podOf = (containers: readonly PodContainer[]): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'pod' },
  spec: {
    automountServiceAccountToken: false,
    containers: containers.map(({ name, image }) => ({ name, image })),
  },
});

/**
 * Returns the configuration of a pod, and the requests of runtime-rs for it: those that `kata-agent-ctl replay` makes.
 *
 * @param options more options of both commands, which say how the guest gets images; none: it pulls them
 */
export async function generatedPod(
  directory: string,
  containers: readonly PodContainer[],
  options: readonly string[] = [],
): Promise<GeneratedPod> {
  const manifest = join(directory, 'pod.json');
  writeFileSync(manifest, JSON.stringify(podOf(containers)));
  const configs = containers.flatMap(({ name, image, config }) => {
    const file = join(directory, `${name}.config.json`);
    writeFileSync(file, config);
    return ['--image-config', `${image}=${file}`];
  });
  const pod = ['--pod', manifest, ...configs, '--runtime', 'rs', '--guest', 'confidential', ...options];
  const generated = await ctl(['config', 'generate', ...pod]);
  if (generated.stdout === '') throw new Error(generated.stderr);
  const listed = await ctl(['replay', ...pod, '--list', '--format', 'json']);
  const calls = JSON.parse(listed.stdout) as readonly {
    readonly method: string;
    readonly request: JsonValue;
  }[];
  const of = (method: string): readonly JsonValue[] =>
    calls.filter((call) => call.method === method).map(({ request }) => request);
  const [sandbox] = of('CreateSandbox');
  const [pause, ...others] = of('CreateContainer').map((request) =>
    fromJson(CreateContainerRequestSchema, request),
  );
  if (sandbox === undefined || pause === undefined || others.length !== containers.length)
    throw new Error(listed.stdout);
  return {
    configuration: generated.stdout,
    sandbox: fromJson(CreateSandboxRequestSchema, sandbox),
    copies: of('CopyFile').map((request) => fromJson(CopyFileRequestSchema, request)),
    pause,
    containers: new Map(others.map((request, index) => [containers[index]?.name ?? '', request])),
  };
}

/** Writes files of the guest below a directory, for `--root` of the client and of the image. */
export function writeGuestFiles(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content, { mode: 0o600 });
  }
}
