import { isMessage } from '@bufbuild/protobuf';
import { celLiteral, type ExpectedCall } from '@kata-agent/workloads';
import type { MethodName } from '@kata-agent/catalogue';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import type { Process } from '@kata-agent/protocol/oci';

/**
 * Returns CEL that applies a test to each container by its name in the pod. Containers with the same name, in several
 * workloads, must match one of the tests. `test`: undefined if there is none for the container.
 */
export function eachContainer(
  calls: readonly ExpectedCall[],
  method: MethodName,
  test: (call: ExpectedCall) => string | undefined,
): string | undefined {
  const names = new Map<string, Set<string> | undefined>();
  for (const call of calls.filter((each) => each.method === method)) {
    const name = call.container ?? '';
    const own = test(call);
    const before = names.has(name) ? names.get(name) : new Set<string>();
    names.set(name, own === undefined ? undefined : before?.add(own));
  }
  const groups = new Map<string, string[]>();
  for (const [name, tests] of names) {
    if (tests === undefined) continue;
    const [first = ''] = tests;
    const either = tests.size > 1 ? `(${[...tests].map((each) => `(${each})`).join(' ||\n  ')})` : first;
    groups.set(either, [...(groups.get(either) ?? []), name]);
  }
  if (groups.size === 0) return undefined;
  const [[only = '', having = []] = []] = groups;
  if (groups.size === 1 && having.length === names.size) return only;
  return [...groups]
    .map(([either, list]) => `(!(container.claimed.name in ${celLiteral(list)}) ||\n  ${either})`)
    .join(' &&\n');
}

export function asCreate({ request }: ExpectedCall): CreateContainerRequest | undefined {
  return isMessage(request, CreateContainerRequestSchema) ? request : undefined;
}

/** Returns the first process of a container, or that of an exec. */
export function asProcess({ request }: ExpectedCall): Process | undefined {
  if (isMessage(request, ExecProcessRequestSchema)) return request.process;
  return isMessage(request, CreateContainerRequestSchema) ? request.OCI?.Process : undefined;
}

/**
 * Reports whether a container mounts a volume of the guest several times. Both runtimes send a storage for each of its mounts, with
 * equal fields.
 *
 * Read, not recorded: `handleEphemeralStorage`, `handleLocalStorage` and `handleBlkOCIMounts` of the Go runtime; `handler_volumes` of
 * runtime-rs, which makes a volume for each mount.
 */
export function mountsTwice(calls: readonly ExpectedCall[]): boolean {
  return calls.some((call) => {
    const places = (asCreate(call)?.storages ?? []).map(({ mountPoint }) => mountPoint);
    return new Set(places).size < places.length;
  });
}
