import { guestMounts } from './guest-mounts.js';
import { hardenedSysctls } from './hardened-sysctls.js';

/** Why a mount has an option. */
const optionReasons: Readonly<Record<string, string>> = {
  nosuid: 'No program gains privileges by its set-user-id bit or file capabilities.',
  nodev: 'No device node works, so that device nodes are in `/dev` and `/dev/pts` alone.',
  noexec: 'No program is executed, nor mapped as code.',
  'mode=755': 'Only root writes to the directory.',
  'mode=1777': 'Everybody may make files in the directory, and remove no file of another user.',
  'gid=5': 'Terminals belong to the group tty.',
  'mode=620': 'Only its owner reads a terminal; the group tty may write to it.',
  'ptmxmode=666': 'Everybody may open a new terminal.',
};

/** Words of the kernel command line that harden a guest. The agent does not write that line. */
const kernelWords: Readonly<Record<string, string>> = {
  'lockdown=integrity':
    'Root of the guest cannot change the kernel: no `/dev/mem`, no unsigned modules, no kexec of an unsigned kernel, no writes by BPF or debugfs.',
  'lockdown=confidentiality':
    'The same, and root of the guest cannot read memory of the kernel, by perf or BPF, either.',
};

function rowsOf(table: Readonly<Record<string, string>>): string {
  return Object.entries(table)
    .map(([name, reason]) => `| \`${name}\` | ${reason} |`)
    .join('\n');
}

/** The reference page of what the agent hardens, from the tables that it goes by (`npm run generate`). */
export function hardeningPage(): string {
  const sysctls = hardenedSysctls.map(
    ({ name, value, keeps = [], reason }) =>
      `| \`${name}\` | ${[value, ...keeps].map((one) => `\`${one}\``).join(', ')} | ${reason} |`,
  );
  const mounts = guestMounts.map(
    ({ target, type, options, optional }) =>
      `| \`${target}\` | ${type}${optional === true ? ', if the kernel has it' : ''} | ${options.map((one) => `\`${one}\``).join(', ')} |`,
  );
  return `<!-- Generated from packages/agent/src/init by npm run generate. -->
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
after them. A module is code in the kernel; without this, whoever becomes root of the guest has the kernel as well.

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
