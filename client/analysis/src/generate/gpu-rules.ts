import {
  type RuntimeSetup,
  type Workload,
  cdiPrefix,
  celLiteral,
  gpuAnnotation,
  gpuCount,
  gpuNames,
} from '@kata-agent/workloads';
import type { ExtraRule } from '../write/extra-rule.js';

const annotations = 'container.claimed.annotations';
const cdiAnnotations = `${annotations}.filter(a, a.startsWith(${celLiteral(cdiPrefix)}))`;
const passed = 'request.devices.filter(d, d.container_path.startsWith("/dev/vfio/"))';
/** An address on the host and a path in the guest. */
const option = celLiteral(
  '^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f][.][0-7]=[0-9a-f]{2}([.][0-7])?(/[0-9a-f]{2}([.][0-7])?){0,7}$',
);

/** Reports whether a container of the workloads has GPUs that are passed through. */
export function hasGpus(workloads: readonly Workload[], setup: RuntimeSetup): boolean {
  return workloads.some(({ containers }) => containers.some((container) => gpuCount(container, setup) > 0));
}

/**
 * Rules for GPUs that are passed through: as many CDI devices as the container requests, each once, and the VFIO devices
 * that have their numbers. The host chooses which GPUs these are: only a report of the GPU itself identifies it.
 */
export function gpuRules(workloads: readonly Workload[], setup: RuntimeSetup): readonly ExtraRule[] {
  if (!hasGpus(workloads, setup)) return [];
  const tests = new Map<string, Set<string>>();
  for (const workload of workloads)
    for (const container of workload.containers) {
      const test = gpuTest(gpuCount(container, setup), gpuNames(workload, container, setup));
      tests.set(test, (tests.get(test) ?? new Set()).add(container.name));
    }
  const none = gpuTest(0, []);
  tests.set(none, new Set(['', ...(tests.get(none) ?? [])]));
  const each = [...tests].map(
    ([test, names]) => `(container.claimed.name in ${celLiteral([...names])} &&\n  ${test})`,
  );
  return [
    {
      method: 'CreateContainer',
      name: 'gpus',
      description:
        'GPUs that are passed through: the CDI devices of annotations, each once, and the VFIO devices with their numbers.\n' +
        'resources.limits',
      expression: each.join(' ||\n'),
      message: 'the workload requests other GPUs',
    },
    {
      method: 'CreateContainer',
      name: 'gpu-devices',
      description:
        'A VFIO device belongs to a CDI device, and is used by a driver of the guest. resources.limits',
      expression:
        `${passed}.all(d, d.type == "vfio-pci-gk" && d.vm_path == "" && d.options.size() > 0 &&\n` +
        `  d.options.all(o, o.matches(${option})) &&\n` +
        `  ${annotations}.exists(a, a.startsWith(${celLiteral(gpuAnnotation)}) &&\n` +
        `    [a.split(${celLiteral(gpuAnnotation)})[1]].all(n, n.matches("^[0-9]+$") &&\n` +
        '      (d.container_path == "/dev/vfio/" + n && d.id == n ||\n' +
        '        d.container_path == "/dev/vfio/devices/vfio" + n && d.id == "vfio" + n))))',
      message: 'this is not the VFIO device of a GPU of the workload',
    },
  ];
}

function gpuTest(count: number, names: readonly string[]): string {
  if (count === 0) return `${cdiAnnotations}.size() == 0 && ${passed}.size() == 0`;
  return (
    `[${cdiAnnotations}].all(k, k.size() == ${count} &&\n` +
    `    k.all(a, ${annotations}[a] in ${celLiteral(names)} &&\n` +
    `      k.exists_one(b, ${annotations}[b] == ${annotations}[a]))) &&\n` +
    `  [${passed}].all(p, p.size() in [0, ${count}] &&\n` +
    '    p.all(d, p.exists_one(e, e.container_path == d.container_path)))'
  );
}
