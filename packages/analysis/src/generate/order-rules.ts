import type { Container } from '../pod/container.js';
import type { Workload } from '../pod/workload.js';
import { celLiteral } from '../write/cel-literal.js';
import type { ExtraRule } from '../write/extra-rule.js';

/**
 * The order of a pod's containers (S35): the pause container first, then init containers one after another, each ended with
 * 0, and each name once at a time.
 */
export function orderRules(workloads: readonly Workload[]): readonly ExtraRule[] {
  return [
    {
      method: 'CreateContainer',
      name: 'names-once',
      says: 'A container comes again only after the one of its name is gone, and the pause container once. Every pod.',
      expression:
        '!sandbox.members.exists(m, m.name == container.claimed.name && (m.state != "removed" || m.name == ""))',
      message: 'there is a container of this name already',
    },
    {
      method: 'CreateContainer',
      name: 'order',
      says:
        'The pause container runs before any other is made; init containers end with 0 before those after them are made,\n' +
        'and do not come again once they have. initContainers',
      expression:
        'sandbox.id != "" && (container.claimed.name == "" ? sandbox.members.size() == 0 :\n' +
        `  sandbox.members.exists(m, m.name == "" && m.state == "running"))${orders(workloads)}`,
      message: 'a container that has to come first has not, or has not ended with 0',
    },
  ];
}

/** For each container with others before it, and for each init container with others after it. */
function orders(workloads: readonly Workload[]): string {
  const tests = new Map<string, Set<string>>();
  for (const { containers } of workloads) {
    for (const [index, { name, role }] of containers.entries()) {
      const test = [
        ...containers.slice(0, index).flatMap(before),
        ...(role === 'init' ? [`!${ended(name)}`, ...notAfter(containers.slice(index + 1))] : []),
      ].join(' &&\n  ');
      tests.set(name, (tests.get(name) ?? new Set()).add(test));
    }
  }
  return [...tests]
    .filter(([, each]) => !each.has(''))
    .map(([name, each]) => {
      const either = [...each].map((test) => `(${test})`).join(' || ');
      return ` &&\n(container.claimed.name != ${celLiteral(name)} || ${either})`;
    })
    .join('');
}

function before({ name, role }: Container): readonly string[] {
  if (role === 'init') return [ended(name)];
  return role === 'sidecar' ? [`sandbox.members.exists(m, m.name == ${celLiteral(name)})`] : [];
}

function ended(name: string): string {
  return `sandbox.members.exists(m, m.name == ${celLiteral(name)} && has(m.exit_code) && m.exit_code == 0)`;
}

function notAfter(later: readonly Container[]): readonly string[] {
  const names = later.map(({ name }) => name);
  return names.length === 0 ? [] : [`!sandbox.members.exists(m, m.name in ${celLiteral(names)})`];
}
