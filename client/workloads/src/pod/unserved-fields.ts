import type { Field } from './field.js';
import { gpuCount } from './gpu-resources.js';
import type { UnservedField } from './workload.js';

/** Returns the fields of a pod that Kata's runtimes do not serve, or whose requests depend on more than the files. */
export function unservedFields(
  pod: Field,
  annotations: ReadonlyMap<string, string>,
): readonly UnservedField[] {
  const network = pod.get('hostNetwork');
  const ephemeral = pod.get('ephemeralContainers');
  const claims = pod.get('resourceClaims');
  return [
    ...(network?.flag() === true
      ? [unserved('hostNetwork', network, "Kata's runtimes do not run pods in the network of the node")]
      : []),
    ...(ephemeral !== undefined && pod.list('ephemeralContainers').length > 0
      ? [
          unserved(
            'ephemeralContainers',
            ephemeral,
            'they are added to a running pod: their requests are not known',
          ),
        ]
      : []),
    ...(claims !== undefined && pod.list('resourceClaims').length > 0
      ? [
          unserved(
            'resourceClaims',
            claims,
            'the driver on the node decides which devices and CDI names the requests have',
          ),
        ]
      : []),
    ...pod.list('volumes').flatMap((volume) => {
      const medium = volume.in('emptyDir', 'medium');
      return medium?.text().startsWith('HugePages') === true
        ? [unserved('medium', medium, 'the storages of huge pages are not known')]
        : [];
    }),
    ...(annotations.get(guestSeccomp) === 'false' ? seccompProfiles(pod) : []),
    ...[...pod.list('initContainers'), ...pod.list('containers')].flatMap(pluginResources),
  ];
}

/** Kata's runtimes remove seccomp profiles from requests, unless this annotation or their configuration says `false`. */
const guestSeccomp = 'io.katacontainers.config.runtime.disable_guest_seccomp';

function seccompProfiles(pod: Field): readonly UnservedField[] {
  return [pod, ...pod.list('initContainers'), ...pod.list('containers')].flatMap((each) => {
    const profile = each.in('securityContext', 'seccompProfile');
    const type = profile?.get('type')?.text() ?? 'Unconfined';
    if (profile === undefined || type === 'Unconfined') return [];
    return [unserved('seccompProfile', profile, "the engine's profile, which the request has, is not known")];
  });
}

/** Resources of device plugins but for GPUs that are passed through: `intel.com/sriov`. Those of Kubernetes itself have no domain. */
function pluginResources(container: Field): readonly UnservedField[] {
  const limits = container.in('resources', 'limits');
  if (limits === undefined) return [];
  return limits
    .keys()
    .filter((name) => name.includes('/') && !/(^|\.)kubernetes\.io\//.test(name))
    .filter((name) => gpuCount(limits, name) === undefined)
    .map((name) =>
      unserved(
        name,
        limits,
        'the device plugin of the node decides which devices and CDI names the requests have',
      ),
    );
}

function unserved(name: string, { path }: Pick<Field, 'path'>, reason: string): UnservedField {
  return { name, path, reason };
}
