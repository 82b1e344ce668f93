import type { Container } from '../pod/container.js';
import type { Workload } from '../pod/workload.js';
import type { RuntimeSetup } from './runtime-setup.js';

/** The kind of NVIDIA's CDI specification in the guest. */
const gpuKind = 'nvidia.com/gpu';

/** The prefix of annotations that name CDI devices, and how the runtimes name one of a VFIO device. */
export const cdiPrefix = 'cdi.k8s.io/';
export const gpuAnnotation: string = `${cdiPrefix}vfio`;

/** Returns the number of GPUs that requests of a container have: the forwarder of peer pods attaches no devices. */
export function gpuCount({ gpus }: Container, { runtime }: RuntimeSetup): number {
  return runtime === 'remote' ? 0 : gpus;
}

/**
 * Returns the CDI devices that a container can get. The Go runtime numbers the GPUs of a pod by their bus, runtime-rs those of
 * each container.
 *
 * Source: `annotateContainerWithVFIOMetadata` in virtcontainers/container.go, and
 * `crates/resource/src/cdi_devices/container_device.rs` of runtime-rs.
 */
export function gpuNames(
  { containers }: Workload,
  container: Container,
  setup: RuntimeSetup,
): readonly string[] {
  const numbered = setup.runtime === 'rs' ? [container] : containers;
  const count = numbered.reduce((sum, each) => sum + gpuCount(each, setup), 0);
  return Array.from({ length: count }, (_, index) => `${gpuKind}=${index}`);
}

/**
 * Returns notes on GPUs whose requests the manifest does not determine: runtime-rs names CDI devices only for GPUs that it
 * attaches when it creates a container.
 *
 * Source: `handler_devices` in `crates/resource/src/manager_inner.rs` of runtime-rs 4.1.0.
 */
export function gpuNotes({ containers }: Workload, { runtime }: RuntimeSetup): readonly string[] {
  return runtime === 'rs'
    ? containers
        .filter(({ gpus }) => gpus > 0)
        .map(
          ({ path }) =>
            `${path}.resources.limits: GPUs that are attached at boot (cold_plug_vfio): runtime-rs then names no CDI devices, which generated rules require`,
        )
    : [];
}

/** A GPU of a container, with sample addresses. */
interface SampleGpu {
  /** The number of the host's VFIO device. */
  readonly device: number;
  readonly cdiName: string;
  /** The address on the host, and the path in the guest. */
  readonly option: string;
}

/** Returns the GPUs of a container: those of the containers before it have the numbers before. */
export function sampleGpus(
  workload: Workload,
  container: Container,
  setup: RuntimeSetup,
): readonly SampleGpu[] {
  const position = workload.containers.indexOf(container);
  const before = workload.containers.slice(0, position).reduce((sum, each) => sum + gpuCount(each, setup), 0);
  const hex = (number: number): string => number.toString(16).padStart(2, '0');
  return Array.from({ length: gpuCount(container, setup) }, (_, index) => {
    const device = before + index;
    return {
      device,
      cdiName: `${gpuKind}=${setup.runtime === 'rs' ? index : device}`,
      option: `0000:${hex(0x41 + device)}:00.0=01/${hex(device % 32)}`,
    };
  });
}
