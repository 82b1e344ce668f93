import { guestMounts } from './guest-mounts.js';
import { hardenedSysctls } from './hardened-sysctls.js';

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

Containers run programs from \`/run/kata-containers\`: files of volumes and root file systems are there. Nothing runs from
\`/run\`, \`/tmp\` and \`/dev/shm\`.

## The kernel's command line

\`lockdown=integrity\` keeps root of the guest from changing the kernel: no \`/dev/mem\`, no unsigned modules, no kexec of an
unsigned kernel, no writes by BPF or debugfs. It is a word of the command line, which the image's maker or Kata's
\`kernel_params\` writes; \`npm run vm\` boots with it. See [an image that you have](../existing-image.md). The memory agent
(\`mem_agent_enable\`) counts unused memory by debugfs, and sees it only when the kernel runs short where there is lockdown:
who wants it boots without, as by \`npm run vm -- --append lockdown=none\`.
`;
}
