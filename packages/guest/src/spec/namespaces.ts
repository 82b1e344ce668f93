import { GuestError } from '../guest-error.js';
import type { OciNamespace } from '../oci-spec.js';

/** The sandbox's namespaces that a container joins; undefined: it gets its own. */
export interface SharedNamespaces {
  readonly pid?: string | undefined;
  readonly ipc?: string | undefined;
  readonly uts?: string | undefined;
}

const known: ReadonlySet<string> = new Set([
  'pid',
  'network',
  'mount',
  'ipc',
  'uts',
  'user',
  'cgroup',
  'time',
]);

/** The sandbox is the guest: there is one network and one clock, and both are everybody's. */
const dropped: ReadonlySet<string> = new Set(['network', 'time']);

/**
 * The namespaces that runc makes or joins. Paths in a request are the host's and never used (S10). A container always
 * has a mount and a pid namespace, since the runtimes leave the latter to the agent.
 */
export function containerNamespaces(
  requested: readonly OciNamespace[] | undefined,
  shared: SharedNamespaces,
): readonly OciNamespace[] {
  const types = new Set((requested ?? []).map(({ type }) => type));
  for (const type of types) {
    if (!known.has(type))
      throw new GuestError('invalid', `namespace type ${JSON.stringify(type)} is not known`);
  }
  types.add('mount').add('pid');
  return [...types].filter((type) => !dropped.has(type)).map((type) => join(type, shared));
}

function join(type: string, shared: SharedNamespaces): OciNamespace {
  const path = type === 'pid' || type === 'ipc' || type === 'uts' ? shared[type] : undefined;
  return path === undefined ? { type } : { type, path };
}
