/** A sysctl and the value that the agent sets before it listens. */
export interface HardenedSysctl {
  readonly name: string;
  readonly value: string;
  /** Other values that are as strict or stricter: they are kept. */
  readonly keeps?: readonly string[];
  readonly reason: string;
}

/**
 * Sysctls that keep an attacker in a container, or with a forged request, from taking over the guest.
 * `user.max_user_namespaces` is not included: image builders and browsers in pods need user namespaces.
 */
export const hardenedSysctls: readonly HardenedSysctl[] = [
  {
    name: 'kernel.core_pattern',
    value: 'core',
    reason:
      'A pattern with a pipe is a program that the kernel runs as root of the guest whenever a process crashes.',
  },
  {
    name: 'kernel.kexec_load_disabled',
    value: '1',
    reason: 'kexec could replace the measured kernel. Cannot be undone until the guest ends.',
  },
  {
    name: 'kernel.unprivileged_bpf_disabled',
    value: '1',
    reason: 'The BPF verifier is a large attack surface. The value 1 cannot be undone.',
  },
  {
    name: 'net.core.bpf_jit_harden',
    value: '2',
    reason: 'Constants of a BPF program cannot be used as machine code, also for root.',
  },
  {
    name: 'kernel.dmesg_restrict',
    value: '1',
    reason: 'Kernel messages contain addresses, and names of the pod’s files and devices.',
  },
  {
    name: 'kernel.kptr_restrict',
    value: '2',
    reason: 'Kernel addresses make exploits reliable.',
  },
  {
    name: 'kernel.perf_event_paranoid',
    value: '2',
    keeps: ['3', '4'],
    reason: 'Performance counters leak addresses and the activity of other containers.',
  },
  {
    name: 'kernel.yama.ptrace_scope',
    value: '1',
    keeps: ['2', '3'],
    reason:
      'A process can read the memory of its children only. Debuggers start the process they trace, or have CAP_SYS_PTRACE.',
  },
  {
    name: 'kernel.sysrq',
    value: '0',
    reason: 'SysRq keys on the console, which the host controls, would print memory and registers.',
  },
  {
    name: 'kernel.randomize_va_space',
    value: '2',
    reason: 'Addresses of programs and their heap are random. The kernel command line can disable that.',
  },
  {
    name: 'fs.suid_dumpable',
    value: '0',
    reason: 'A core dump of a set-user-id program would contain data that its caller must not read.',
  },
  {
    name: 'fs.protected_hardlinks',
    value: '1',
    reason: 'A user cannot create a hard link to a file without write access: its owner could follow it.',
  },
  {
    name: 'fs.protected_symlinks',
    value: '1',
    reason: 'In a sticky directory such as /tmp only the owner follows a symbolic link.',
  },
  {
    name: 'fs.protected_fifos',
    value: '1',
    keeps: ['2'],
    reason: 'In a sticky directory such as /tmp a user cannot open another user’s FIFO in place of a file.',
  },
  {
    name: 'fs.protected_regular',
    value: '2',
    reason:
      'In a sticky directory such as /tmp a user cannot write to another user’s file in place of a new one.',
  },
  {
    name: 'vm.unprivileged_userfaultfd',
    value: '0',
    reason: 'A process that can suspend the kernel during a copy wins race conditions.',
  },
  {
    name: 'dev.tty.ldisc_autoload',
    value: '0',
    reason: 'Any terminal could load line disciplines: old code that a guest does not need.',
  },
];
