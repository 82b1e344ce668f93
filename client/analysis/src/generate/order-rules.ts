import { type Container, type Workload, celLiteral, wrappedList } from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';
import { everyPod } from './every-pod.js';

/**
 * Rules for the order of a pod's containers (S35): the pause container first, then init containers in sequence, each
 * exiting with 0, and each name only once at a time.
 */
export function orderRules(workloads: readonly Workload[]): readonly ExtraRule[] {
  return [
    ...everyPod('names-unique'),
    {
      method: 'CreateContainer',
      name: 'order',
      description:
        'The pause container runs before any other is created; init containers exit with 0 before later ones are created,\n' +
        'and are not created again after that. initContainers',
      expression:
        'sandbox.id != "" && (container.claimed.name == "" ? sandbox.members.size() == 0 :\n' +
        `  sandbox.members.exists(m, m.name == "" && m.state == "running"))${orders(workloads)}`,
      message: 'a container that must come first has not run, or has not exited with 0',
    },
    ...onePod(workloads),
  ];
}

/** One configuration can be for several pods. The containers of a sandbox are those of one of them. */
function onePod(workloads: readonly Workload[]): readonly ExtraRule[] {
  const names = workloads.map(({ containers }) => containers.map(({ name }) => name).sort());
  const pods = [...new Map(names.map((each) => [JSON.stringify(each), each])).values()];
  if (pods.length < 2) return [];
  return [
    {
      method: 'CreateContainer',
      name: 'single-pod',
      description: 'All containers of a sandbox are of the same pod. containers[].name',
      expression:
        `${wrappedList(pods)}.exists(p,\n  (container.claimed.name == "" || container.claimed.name in p) &&\n` +
        '  sandbox.members.all(m, m.name == "" || m.name in p))',
      message: 'the sandbox has a container of another pod',
    },
  ];
}

/** Returns a test for each container with others before it, and for each init container with others after it. */
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
