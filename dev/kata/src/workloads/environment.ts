// The variables of a container, as the kubelet sets them.
import type { Container, Manifests, Pod, Variable } from './manifests.js';
import { quantity } from './quantity.js';

/** The address of the node and the pod: the pods of these tests are in the network namespace of containerd. */
const nodeAddress = '127.0.0.1';

/** Memory of the node in bytes, which is the limit of a container without one. */
const nodeMemory = 8 * 2 ** 30;

/** Variables of the service of the API server, which every container has. */
const apiServer: Readonly<Record<string, string>> = {
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  KUBERNETES_SERVICE_PORT: '443',
  KUBERNETES_SERVICE_PORT_HTTPS: '443',
  KUBERNETES_PORT: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
  KUBERNETES_PORT_443_TCP_PORT: '443',
  KUBERNETES_PORT_443_TCP_ADDR: '10.96.0.1',
};

/** Source: Kubernetes, `makeEnvironmentVariables` in pkg/kubelet/kubelet_pods.go. */
export function environment(
  pod: Pod,
  container: Container,
  { configMaps, secrets }: Manifests,
): Readonly<Record<string, string>> {
  const values: Record<string, string> = { ...apiServer };
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef !== undefined) Object.assign(values, found(configMaps, configMapRef.name));
    if (secretRef !== undefined) Object.assign(values, found(secrets, secretRef.name));
  }
  for (const variable of container.env ?? []) values[variable.name] = valueOf(variable);
  return values;

  function valueOf({ value, valueFrom }: Variable): string {
    if (valueFrom === undefined) return expanded(value ?? '', values);
    const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
    if (configMapKeyRef !== undefined)
      return found(configMaps, configMapKeyRef.name)[configMapKeyRef.key] ?? '';
    if (secretKeyRef !== undefined) return found(secrets, secretKeyRef.name)[secretKeyRef.key] ?? '';
    if (fieldRef !== undefined) return field(pod, fieldRef.fieldPath);
    return String(resource(container, resourceFieldRef?.resource ?? ''));
  }
}

/** Replaces `$(NAME)` by the value of a variable before. */
function expanded(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\$\(([^)]*)\)/g, (whole, name: string) => values[name] ?? whole);
}

function found<T>(objects: ReadonlyMap<string, T>, name: string): T {
  const object = objects.get(name);
  if (object === undefined) throw new Error(`the manifests have no object ${name}`);
  return object;
}

function field({ metadata }: Pod, path: string): string {
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': 'default',
    'spec.nodeName': 'node',
    'status.hostIP': nodeAddress,
    'status.podIP': nodeAddress,
  };
  const value = fields[path];
  if (value === undefined) throw new Error(`the field ${path} is not known here`);
  return value;
}

function resource({ resources = {} }: Container, path: string): number {
  const [kind, name = ''] = path.split('.');
  const given = kind === 'limits' ? resources.limits?.[name] : resources.requests?.[name];
  if (given !== undefined) return quantity(given);
  return kind === 'limits' && name === 'memory' ? nodeMemory : 0;
}
