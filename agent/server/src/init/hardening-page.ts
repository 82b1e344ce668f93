import { guestMounts } from './guest-mounts.js';
import { hardenedSysctls } from './hardened-sysctls.js';

/** The reasons for mount options. */
const optionReasons: Readonly<Record<string, string>> = {
  nosuid: 'Programs gain no privileges by set-user-id bits or file capabilities.',
  nodev: 'Device nodes work only in `/dev` and `/dev/pts`.',
  noexec: 'Files cannot be executed or mapped as code.',
  relatime: 'Reads write access times at most once a day.',
  nsdelegate:
    'A container with its own cgroup namespace cannot change the limits of its cgroup, and moves no process across it.',
  'mode=755': 'Only root can write to the directory.',
  'mode=1777': 'Every user can create files in the directory, and can remove only own ones.',
  'gid=5': 'Terminals belong to the group tty.',
  'mode=620': 'Only the owner can read a terminal; the group tty can write to it.',
  'ptmxmode=666': 'Every user can open a new terminal.',
};

/** Kernel command line parameters that harden a guest. The agent does not set them. */
const kernelWords: Readonly<Record<string, string>> = {
  'lockdown=integrity':
    'Root in the guest cannot change the kernel: no `/dev/mem`, no unsigned modules, no kexec of an unsigned kernel, no writes by BPF or debugfs.',
  'lockdown=confidentiality': 'In addition, root in the guest cannot read kernel memory by perf or BPF.',
};

function rowsOf(table: Readonly<Record<string, string>>): string {
  return Object.entries(table)
    .map(([name, reason]) => `| \`${name}\` | ${reason} |`)
    .join('\n');
}

/** Returns the reference page on hardening, from the tables in the code (`npm run generate`). */
export function hardeningPage(): string {
  const sysctls = hardenedSysctls.map(
    ({ name, value, keeps = [], reason }) =>
      `| \`${name}\` | ${[value, ...keeps].map((one) => `\`${one}\``).join(', ')} | ${reason} |`,
  );
  const mounts = guestMounts.map(
    ({ target, type, options, optional }) =>
      `| \`${target}\` | ${type}${optional === true ? ', if the kernel has it' : ''} | ${options.map((one) => `\`${one}\``).join(', ')} |`,
  );
  return `<!-- Generated from agent/server/src/init by npm run generate. -->
# Hardening

What the agent does to a guest's kernel before it listens. It does so as PID 1 of a machine, and under another init with
\`harden = true\` in \`[agent]\`; \`harden = false\` leaves all as it is. The first record of the audit log names what holds.

## Sysctls

The first value is written, unless the kernel has one of the others, which are stricter. A kernel that does not have a
sysctl goes without it.

| sysctl | value | reason |
|---|---|---|
${sysctls.join('\n')}

## Kernel modules

\`kernel.modules_disabled\` is 1 once CreateSandbox has succeeded, in images that list the modules that the kernel would load
later in \`/etc/kata-agent/late-modules.conf\`, as ours do. They are loaded then, after those of the request, and no module
after them. A module is code in the kernel; without this, an attacker with root in the guest controls the kernel too.

## Mounts

As PID 1 the agent mounts these, where nothing is mounted yet.

| mount point | type | options |
|---|---|---|
${mounts.join('\n')}

| option | reason |
|---|---|
${rowsOf(optionReasons)}

Containers run programs from \`/run/kata-containers\`: files of volumes and root file systems are there. Nothing runs from
\`/run\`, \`/tmp\` and \`/dev/shm\`.

## The kernel command line

The image's maker or Kata's \`kernel_params\` writes it; \`npm run vm\` boots with \`lockdown=integrity\`.

| word | reason |
|---|---|
${rowsOf(kernelWords)}

The kernel must have the lockdown module, and signed modules: see [an image that you have](../existing-image.md).
With lockdown the memory agent (\`mem_agent_enable\`) cannot count unused memory by debugfs, and acts only when the kernel runs
short of memory. To use it fully, boot without lockdown: \`npm run vm -- --append lockdown=none\`.
`;
}
