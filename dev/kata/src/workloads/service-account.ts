// The token of a pod's service account.
import type { Container, Manifests, Pod } from './manifests.js';

/** The name of the volume begins so. */
const name = 'kube-api-access';

const files = { token: 'a token', 'ca.crt': 'a certificate', namespace: 'default' };

/** Adds the volume with the token to a pod, as the API server does. */
export function withServiceAccount({ metadata, spec }: Pod): Pod {
  if (spec.automountServiceAccountToken === false) return { metadata, spec };
  const volume = { name: `${name}-x7k2p`, projected: { sources: [{ configMap: { name } }] } };
  const mount = {
    name: volume.name,
    mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
    readOnly: true,
  };
  const mounted = (container: Container): Container => ({
    ...container,
    volumeMounts: [...(container.volumeMounts ?? []), mount],
  });
  const { containers, initContainers = [], volumes = [] } = spec;
  return {
    metadata,
    spec: {
      ...spec,
      volumes: [...volumes, volume],
      containers: containers.map(mounted),
      initContainers: initContainers.map(mounted),
    },
  };
}

/** Adds the files of that volume. */
export function withServiceAccountFiles(manifests: Manifests): Manifests {
  return { ...manifests, configMaps: new Map([...manifests.configMaps, [name, files]]) };
}
