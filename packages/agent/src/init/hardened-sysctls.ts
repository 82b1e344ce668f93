/** A sysctl of the guest, and the value that the agent gives it before it listens. */
export interface HardenedSysctl {
  readonly name: string;
  readonly value: string;
  /** Other values that are as strict, or stricter: they stay. */
  readonly keeps?: readonly string[];
  readonly reason: string;
}

/**
 * What an attacker who has got some of a guest, in a container or by a request, cannot use to get the rest. Not here:
 * `user.max_user_namespaces`, which programs that build images and browsers need in pods.
 */
export const hardenedSysctls: readonly HardenedSysctl[] = [
  {
    name: 'kernel.core_pattern',
    value: 'core',
    reason:
      'A pattern with a pipe names a program that the kernel runs as root of the guest when any process crashes.',
  },
  {
    name: 'kernel.kexec_load_disabled',
    value: '1',
    reason:
      'Another kernel would take the place of the one that was measured. It stays so until the guest ends.',
  },
  {
    name: 'kernel.unprivileged_bpf_disabled',
    value: '1',
    reason: 'The verifier of BPF is one of the larger attack surfaces. With 1 nobody can switch it on again.',
  },
  {
    name: 'net.core.bpf_jit_harden',
    value: '2',
    reason: 'Constants of a BPF program are no place for machine code: those of root neither.',
  },
  {
    name: 'kernel.dmesg_restrict',
    value: '1',
    reason: 'Messages of the kernel hold addresses, and names of the pod’s files and devices.',
  },
  {
    name: 'kernel.kptr_restrict',
    value: '2',
    reason: 'Addresses of the kernel make an exploit reliable.',
  },
  {
    name: 'kernel.perf_event_paranoid',
    value: '2',
    keeps: ['3', '4'],
    reason: 'Counting events of the kernel leaks addresses and what other containers do.',
  },
  {
    name: 'kernel.yama.ptrace_scope',
    value: '1',
    keeps: ['2', '3'],
    reason:
      'A process reads the memory of its own children only. Debuggers start what they trace, or have CAP_SYS_PTRACE.',
  },
  {
    name: 'kernel.sysrq',
    value: '0',
    reason: 'Keys on the console, which is the host’s, would show memory and registers.',
  },
  {
    name: 'kernel.randomize_va_space',
    value: '2',
    reason: 'Addresses of programs are random, the heap’s too. The kernel’s command line can say otherwise.',
  },
  {
    name: 'fs.suid_dumpable',
    value: '0',
    reason: 'A core dump of a set-user-id program would hold what its caller must not read.',
  },
  {
    name: 'fs.protected_hardlinks',
    value: '1',
    reason: 'Nobody links to a file that he could not write: the owner would follow the link.',
  },
  {
    name: 'fs.protected_symlinks',
    value: '1',
    reason: 'In a directory like /tmp a link is followed by its owner only.',
  },
  {
    name: 'fs.protected_fifos',
    value: '1',
    keeps: ['2'],
    reason: 'In a directory like /tmp nobody opens a pipe of another user in place of a file.',
  },
  {
    name: 'fs.protected_regular',
    value: '2',
    reason: 'In a directory like /tmp nobody writes to a file of another user in place of a new one.',
  },
  {
    name: 'vm.unprivileged_userfaultfd',
    value: '0',
    reason: 'A process that stops the kernel in the middle of a copy wins its races.',
  },
  {
    name: 'dev.tty.ldisc_autoload',
    value: '0',
    reason: 'A terminal would load line disciplines, old code that nobody in a guest needs.',
  },
];
