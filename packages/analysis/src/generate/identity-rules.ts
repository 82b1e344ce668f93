import type { ExpectedCall } from '../calls/expected-call.js';
import { imageNames } from '../calls/image-names.js';
import type { Workload } from '../pod/workload.js';
import { celLiteral } from '../write/cel-literal.js';
import type { ExtraRule } from '../write/extra-rule.js';
import { asCreate } from './expected-message.js';
import { eachContainer } from './each-container.js';

const claimed = 'container.claimed.annotations';

/** Which container of which pod it is, and of which image: what the host says has to fit together. */
export function identityRules(
  workloads: readonly Workload[],
  calls: readonly ExpectedCall[],
): readonly ExtraRule[] {
  const images = eachContainer(calls, 'CreateContainer', (call) => {
    const image = asCreate(call)?.OCI?.Annotations['io.kubernetes.cri.image-name'];
    const pulled = 'request.storages.all(s, s.driver != "image_guest_pull" || ';
    if (image === undefined) return `container.claimed.image == "" && ${pulled}s.source == "pause")`;
    const { names, digests } = imageNames(image);
    const is = (text: string): string =>
      `(${text} in ${celLiteral(names)}${digests === undefined ? '' : ` || ${text}.matches(${celLiteral(digests)})`})`;
    return `${is('container.claimed.image')} &&\n  ${pulled}${is('s.source')})`;
  });
  return [
    {
      method: 'CreateContainer',
      name: 'images',
      says:
        'The image that the host claims, and the one that is pulled in the guest. containers[].image\n' +
        'A claim is the word of the host alone. An image that the pod names by a tag may be any that has it.',
      expression: images ?? 'false',
      message: 'this is not the image of this container',
    },
    {
      method: 'CreateContainer',
      name: 'annotation-values',
      says: 'What annotations say of the container fits the sandbox and its name. metadata.namespace',
      expression: [
        given('io.kubernetes.cri.sandbox-id', '== sandbox.id'),
        given(
          'io.kubernetes.cri.container-type',
          '== (container.claimed.name == "" ? "sandbox" : "container")',
        ),
        given(
          'io.katacontainers.pkg.oci.container_type',
          '== (container.claimed.name == "" ? "pod_sandbox" : "pod_container")',
        ),
        given('io.kubernetes.cri.sandbox-namespace', namespaceTest(workloads)),
      ].join(' &&\n'),
      message: 'an annotation does not fit this container, its pod or its namespace',
    },
  ];
}

function given(name: string, test: string): string {
  const key = celLiteral(name);
  return `(!(${key} in ${claimed}) || ${claimed}[${key}] ${test})`.replace('] .', '].');
}

function namespaceTest(workloads: readonly Workload[]): string {
  const named = workloads.map(({ namespace }) => namespace);
  if (named.some((namespace) => namespace === undefined)) return '.matches("^[a-z0-9-]+$")';
  return `in ${celLiteral([...new Set(named.flatMap((namespace) => namespace ?? []))])}`;
}
