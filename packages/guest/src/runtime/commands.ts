import { rmSync, writeFileSync } from 'node:fs';
import type { OciProcess, OciResources } from '../oci-spec.js';
import { encodeSpec } from '../spec/encode-spec.js';
import type { Runtime, Stdio } from './runtime.js';
import { parseFeatures, type RuntimeFeatures } from './runtime-features.js';

/** Makes the container's first process and leaves it waiting for `start`; answers its pid. */
export function create(
  runtime: Runtime,
  id: string,
  bundle: string,
  stdio: Stdio,
  signal?: AbortSignal,
): Promise<number> {
  return runtime.launch(['create', '--bundle', bundle], id, stdio, signal);
}

export async function start(runtime: Runtime, id: string, signal?: AbortSignal): Promise<void> {
  await runtime.run(['start', id], { signal });
}

/** Runs a process in the container, detached; answers its pid. */
export async function exec(
  runtime: Runtime,
  id: string,
  process: OciProcess,
  stdio: Stdio,
  signal?: AbortSignal,
): Promise<number> {
  const file = runtime.scratchFile('process');
  try {
    writeFileSync(file, encodeSpec(process), { mode: 0o600 });
    return await runtime.launch(['exec', '--detach', '--process', file], id, stdio, signal);
  } finally {
    rmSync(file, { force: true });
  }
}

export async function pause(runtime: Runtime, id: string, signal?: AbortSignal): Promise<void> {
  await runtime.run(['pause', id], { signal });
}

export async function resume(runtime: Runtime, id: string, signal?: AbortSignal): Promise<void> {
  await runtime.run(['resume', id], { signal });
}

export async function update(
  runtime: Runtime,
  id: string,
  resources: OciResources,
  signal?: AbortSignal,
): Promise<void> {
  await runtime.run(['update', '--resources', '-', id], { input: encodeSpec(resources), signal });
}

/** Kills what still runs, removes cgroup and state. Nothing there: no error. */
export async function remove(runtime: Runtime, id: string): Promise<void> {
  await runtime.run(['delete', '--force', id]);
}

/** How far a container has come, by the runtime's own word (OCI runtime specification, "State"). */
export type RuntimeStatus = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

/** The status of each container that the runtime knows, by id. One whose making it did not finish is not told. */
export async function list(runtime: Runtime): Promise<ReadonlyMap<string, RuntimeStatus>> {
  const text = await runtime.run(['list', '--format', 'json']);
  // Without a container it is `null`.
  const found = (JSON.parse(text) ?? []) as readonly { id: string; status: RuntimeStatus }[];
  return new Map(found.map(({ id, status }) => [id, status]));
}

/** What the runtime can. */
export async function askFeatures(runtime: Runtime): Promise<RuntimeFeatures> {
  return parseFeatures(await runtime.run(['features']));
}
