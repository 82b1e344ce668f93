import { type ExpectedCall, celLiteral } from '@kata-agent/workloads';
import type { MethodName } from '@kata-agent/catalogue';

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
