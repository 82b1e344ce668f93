import {
  type ExpectedCall,
  hasOwnPause,
  type RuntimeSetup,
  type Workload,
  celLiteral,
  imageNames,
  terminationAnnotation,
} from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';
import { asCreate, eachContainer } from './each-container.js';

const claimed = 'container.claimed.annotations';

/** Rules that identify container, pod and image: the host's claims must be consistent. */
export function identityRules(
  workloads: readonly Workload[],
  calls: readonly ExpectedCall[],
  setup: RuntimeSetup,
): readonly ExtraRule[] {
  const images = eachContainer(calls, 'CreateContainer', (call) => {
    const image = asCreate(call)?.OCI?.Annotations['io.kubernetes.cri.image-name'];
    const pulled = 'request.storages.all(s, s.driver != "image_guest_pull" || ';
    if (image === undefined) return `container.claimed.image == "" && ${pulled}s.source == "pause")`;
    const names = celLiteral(imageNames(image));
    return `container.claimed.image in ${names} &&\n  ${pulled}s.source in ${names})`;
  });
  return [
    {
      method: 'CreateContainer',
      name: 'images',
      description:
        'The image that the host claims, and the one that is pulled in the guest. containers[].image\n' +
        "The host's claim is not verified. What has a tag is the choice of its registry, or of the host.",
      expression: images ?? 'false',
      message: 'this is not the image of this container',
    },
    {
      method: 'CreateContainer',
      name: 'annotation-values',
      description:
        "Annotations about the container match the sandbox and the container's name. metadata.namespace",
      expression: [
        given('io.kubernetes.cri.sandbox-id', '== sandbox.id'),
        containerType(setup),
        given(
          'io.katacontainers.pkg.oci.container_type',
          '== (container.claimed.name == "" ? "pod_sandbox" : "pod_container")',
        ),
        given('io.kubernetes.cri.sandbox-namespace', namespaceTest(workloads)),
        terminationTest(workloads),
      ].join(' &&\n'),
      message: 'an annotation does not match this container, its pod or its namespace',
    },
  ];
}

/**
 * The guest decides by this annotation whether it has the root and the process of a container itself. Without it the host would choose an
 * image and a process for the pause container.
 */
function containerType(setup: RuntimeSetup): string {
  const name = 'io.kubernetes.cri.container-type';
  const test = '== (container.claimed.name == "" ? "sandbox" : "container")';
  if (!hasOwnPause(setup)) return given(name, test);
  const key = celLiteral(name);
  return `${key} in ${claimed} && ${claimed}[${key}] ${test}`;
}

function given(name: string, test: string): string {
  const key = celLiteral(name);
  return `(!(${key} in ${claimed}) || ${claimed}[${key}] ${test})`.replace('] .', '].');
}

/** The file must be the container's own: its content is returned to the host. */
function terminationTest(workloads: readonly Workload[]): string {
  const paths = workloads.flatMap(({ containers }) =>
    containers.map(({ name, terminationMessagePath }) => `${name}=${terminationMessagePath}`),
  );
  const key = celLiteral(terminationAnnotation);
  return `(!(${key} in ${claimed}) || container.claimed.name + "=" + ${claimed}[${key}] in ${celLiteral([...new Set(paths)])})`;
}

function namespaceTest(workloads: readonly Workload[]): string {
  const named = workloads.map(({ namespace }) => namespace);
  if (named.some((namespace) => namespace === undefined)) return '.matches("^[a-z0-9-]+$")';
  return `in ${celLiteral([...new Set(named.flatMap((namespace) => namespace ?? []))])}`;
}
