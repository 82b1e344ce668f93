import type { Workload } from '../pod/workload.js';
import type { ExtraRule } from '../write/extra-rule.js';

/**
 * What holds for every request of these workloads although it stands in no list. The forms of names are those that
 * both runtimes give, as genpolicy of Kata Containers 4.1.0 has them (`sfprefix`).
 */
export function extraRules(workloads: readonly Workload[]): readonly ExtraRule[] {
  const shares = workloads.some(({ sharesProcesses }) => sharesProcesses);
  return shares ? always : [...always, ...apart];
}

const always: readonly ExtraRule[] = [
  {
    name: 'hooks',
    method: 'CreateSandbox',
    says: 'The host adds no hooks and no kernel modules to the guest. Every pod.',
    expression: 'request.guest_hook_path == "" && request.kernel_modules.size() == 0',
    message: 'no hooks and no kernel modules are added to this guest',
  },
  {
    name: 'names',
    method: 'CopyFile',
    says: 'Files go where the runtimes put them, never into the root of a container. Every pod.',
    expression:
      'path.matches("^/run/kata-containers/shared/containers/(watchable/)?[A-Za-z0-9_.-]+-[a-z0-9]{16}-[^/]+(/|$)")',
    message: 'no file of the cluster has this name',
  },
  {
    name: 'links',
    method: 'CopyFile',
    says: 'Of special files only links come, within a volume, and they lead nowhere else. Every pod.',
    expression:
      'file_type in ["regular", "directory"] || file_type == "symlink" && !string(request.data).startsWith("/") && ' +
      '!string(request.data).matches("(^|/)[.][.](/|$)") && path.split("/").size() > 6',
    message: 'this link leads out of its volume',
  },
];

const apart: readonly ExtraRule[] = [
  {
    name: 'processes',
    method: 'CreateSandbox',
    says: 'Containers see no processes of each other. shareProcessNamespace',
    expression: '!request.sandbox_pidns',
    message: 'this pod shares no processes',
  },
  {
    name: 'processes',
    method: 'CreateContainer',
    says: 'Containers see no processes of each other. shareProcessNamespace',
    expression: '!request.sandbox_pidns',
    message: 'this pod shares no processes',
  },
];
