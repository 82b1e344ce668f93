import { knownRuntimes } from './known-runtimes.js';

/** Returns the reference page on OCI runtimes, from the table in the code (`npm run generate`). */
export function ociRuntimesPage(): string {
  const rows = knownRuntimes.map(
    ({ name, package: debian, versionAnnotation, featuresInVersion, hybridCgroups, systemdBuses }) =>
      `| ${name} | ${debian} | \`/run/kata-agent/${name}\` | \`${name} features\`: \`${versionAnnotation}\`${featuresInVersion ? `; else \`${name} --version\`` : ''} | ${hybridCgroups ? 'yes' : 'no'} | ${systemdBuses.map((socket) => `\`${socket}\``).join(' or ')} |`,
  );
  const fixes = knownRuntimes.flatMap(({ name, fixes: all }) =>
    all.map(
      ({ flaws, in: releases, unreachable }) =>
        `| ${name} | ${flaws} | ${releases.join(', ')} | ${unreachable === undefined ? 'a warning, and no root on a share of the host' : `none: ${unreachable}`} |`,
    ),
  );
  const notes = knownRuntimes.map(
    ({ name, notes: all }) => `## ${name}\n\n${all.map((note) => `- ${note}`).join('\n')}\n`,
  );
  const messages = knownRuntimes.flatMap(({ name, messages: all }) =>
    all.map(([message, kind]) => `| ${name} | \`${message.source.replaceAll('|', '\\|')}\` | ${kind} |`),
  );
  return `<!-- Generated from agent/guest/src/runtime by npm run generate. -->
# OCI runtimes

The runtimes that the agent knows, by the file name of the program. One of another name is expected to behave as runc.
The choice: the runtime that created the containers of an earlier agent; else \`oci_runtime\`; else the first of this table
in PATH. Without hybrid cgroups means: with v1 hierarchies and a cgroup2 mount at \`/sys/fs/cgroup/unified\` it creates no
container, and runc is used instead, which the agent log and the first audit record say. In a guest with systemd it needs a
socket of the last column for containers whose cgroup systemd creates.

| runtime | Debian package | state | version and features | hybrid cgroups | socket of systemd |
|---|---|---|---|---|---|
${rows.join('\n')}

## Vulnerabilities

A version older than the fixes, which a distribution may have applied without changing the number.

| runtime | vulnerabilities | fixed in | consequence |
|---|---|---|---|
${fixes.join('\n')}

${notes.join('\n')}
## Messages

The first message (a regular expression) that matches decides the kind of the error; all others are \`internal\`.

| runtime | message | kind |
|---|---|---|
${messages.join('\n')}
`;
}
