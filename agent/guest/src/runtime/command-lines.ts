import { rmSync, writeFileSync } from 'node:fs';
import { GuestError } from '../guest-error.js';
import type { OciProcess, OciResources } from '../request/oci-spec.js';
import { encodeSpec } from '../spec/encode-spec.js';
import type { OciRuntime, Stdio } from './oci-runtime.js';
import { parseFeatures, parseVersionText, type RuntimeFeatures } from './runtime-features.js';

/**
 * Runs `create`: the container's first process waits for `start`; returns its pid. `isScope`: systemd creates the cgroup.
 * The runtime saves that with the container, so that no other command needs to say it.
 */
export function create(
  runtime: OciRuntime,
  { id, bundle, isScope }: { readonly id: string; readonly bundle: string; readonly isScope: boolean },
  stdio: Stdio,
  signal?: AbortSignal,
): Promise<number> {
  const options = isScope ? ['--systemd-cgroup'] : [];
  return runtime.launch(['create', '--bundle', bundle], id, stdio, { signal, options });
}

export async function start(runtime: OciRuntime, id: string, signal?: AbortSignal): Promise<void> {
  await runtime.run(['start', id], { signal });
}

/** Runs `exec`, detached; returns the process's pid. */
export async function exec(
  runtime: OciRuntime,
  id: string,
  process: OciProcess,
  stdio: Stdio,
  signal?: AbortSignal,
): Promise<number> {
  return withFile(runtime, 'process', process, (file) =>
    runtime.launch(['exec', '--detach', '--process', file], id, stdio, { signal }),
  );
}

/** Runs a command with the JSON of `value` in a temporary file. */
async function withFile<T>(
  runtime: OciRuntime,
  kind: string,
  value: OciProcess | OciResources,
  command: (file: string) => Promise<T>,
): Promise<T> {
  const file = runtime.scratchFile(kind);
  try {
    writeFileSync(file, encodeSpec(value), { mode: 0o600 });
    return await command(file);
  } finally {
    rmSync(file, { force: true });
  }
}

export async function pause(runtime: OciRuntime, id: string, signal?: AbortSignal): Promise<void> {
  await runtime.run(['pause', id], { signal });
}

export async function resume(runtime: OciRuntime, id: string, signal?: AbortSignal): Promise<void> {
  await runtime.run(['resume', id], { signal });
}

export async function update(
  runtime: OciRuntime,
  id: string,
  resources: OciResources,
  signal?: AbortSignal,
): Promise<void> {
  // crun opens /dev/stdin for `-`, which fails if that is a socket, as Node.js's pipes are.
  await withFile(runtime, 'resources', resources, (file) =>
    runtime.run(['update', '--resources', file, id], { signal }),
  );
}

/** Runs `delete --force`: kills processes, removes cgroup and state. No error if there is no container. */
export async function remove(runtime: OciRuntime, id: string): Promise<void> {
  await runtime.run(['delete', '--force', id]);
}

/** The container's status (OCI runtime specification, "State"). */
export type RuntimeStatus = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

/**
 * Returns the status of each container that the runtime knows, by id. Containers whose creation did not finish are not
 * listed.
 */
export async function list(runtime: OciRuntime): Promise<ReadonlyMap<string, RuntimeStatus>> {
  const text = await runtime.run(['list', '--format', 'json']);
  // runc prints `null` if there is no container.
  const found = (JSON.parse(text) ?? []) as readonly { id: string; status: RuntimeStatus }[];
  return new Map(found.map(({ id, status }) => [id, status]));
}

/** Returns the runtime's features: of `features`, or of `--version` if the release has no such command. */
export async function askFeatures(runtime: OciRuntime): Promise<RuntimeFeatures> {
  try {
    return parseFeatures(await runtime.run(['features']));
  } catch (error) {
    if (!runtime.known.featuresInVersion || !(error instanceof GuestError)) throw error;
    return parseVersionText(await runtime.run(['--version']));
  }
}
