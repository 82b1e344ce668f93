import type { ExtraRule } from '../write/extra-rule.js';

/** containerd's own profile; the guest has it only where its kernel has AppArmor. */
const engineProfile = 'cri-containerd.apparmor.d';

/** What holds for the processes of containers, whichever the pod. */
export const processRules: readonly ExtraRule[] = [
  ...rulesFor('CreateContainer', 'request.OCI.Process', ''),
  ...rulesFor(
    'ExecProcess',
    'request.process',
    ` &&\nrequest.process.ApparmorProfile in ["", "${engineProfile}"]`,
  ),
];

function rulesFor(
  method: 'CreateContainer' | 'ExecProcess',
  process: string,
  profiles: string,
): readonly ExtraRule[] {
  return [
    {
      name: 'labels',
      method,
      says: 'Users go by number, and labels of SELinux are none. Every pod.',
      expression:
        `!has(request.string_user) && ${process}.User.Username == "" &&\n` +
        `${process}.SelinuxLabel == ""${profiles}`,
      message: 'the process has a label, or a user by name, that the workload has not',
    },
    {
      name: 'gained-capabilities',
      method,
      says: 'Capabilities do not outlast a change of user, and are not passed on. Every pod.',
      expression: `${process}.Capabilities.Ambient.size() == 0 && ${process}.Capabilities.Inheritable.size() == 0`,
      message: 'the workload has no ambient or inheritable capabilities',
    },
  ];
}
