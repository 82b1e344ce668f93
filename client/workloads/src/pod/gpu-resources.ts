import type { Field } from './field.js';

/**
 * Resources of NVIDIA's device plugin for GPUs that are passed through to the guest's kernel: its name for all models, and
 * another that a cluster can give it (`P_GPU_ALIAS`). Names of single models are not known.
 *
 * Source: NVIDIA-GPU-passthrough-and-Kata-QEMU.md and genpolicy's settings, of Kata Containers 4.1.0.
 */
const gpuResources: readonly string[] = ['nvidia.com/pgpu', 'nvidia.com/gpu'];

/** Returns the GPUs that a container requests by a resource; undefined: the resource is another. */
export function gpuCount(limits: Field | undefined, name: string): number | undefined {
  const count = limits?.get(name)?.scalar() ?? '';
  return gpuResources.includes(name) && /^[0-9]{1,2}$/.test(count) ? Number(count) : undefined;
}

/** Returns the number of GPUs that are passed through to a container. */
export function gpusOf(container: Field): number {
  const limits = container.in('resources', 'limits');
  return (limits?.keys() ?? []).reduce((sum, name) => sum + (gpuCount(limits, name) ?? 0), 0);
}
