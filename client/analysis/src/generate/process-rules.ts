import type { ExtraRule } from '../write/extra-rule.js';

/** containerd's default profile; the guest has it only if its kernel has AppArmor. */
export const engineProfile = 'cri-containerd.apparmor.d';

/** Rules for the processes of containers of any pod. */
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
      description: 'Users are numbers, and there are no SELinux labels. Every pod.',
      expression:
        `!has(request.string_user) && ${process}.User.Username == "" &&\n` +
        `${process}.SelinuxLabel == ""${profiles}`,
      message: 'the process has a label, or a user name, that the workload does not have',
    },
    {
      name: 'gained-capabilities',
      method,
      description: 'Capabilities are not kept when the user changes, and are not inherited. Every pod.',
      expression: `${process}.Capabilities.Ambient.size() == 0 && ${process}.Capabilities.Inheritable.size() == 0`,
      message: 'the workload has no ambient or inheritable capabilities',
    },
  ];
}
