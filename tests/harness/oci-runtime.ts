import { existsSync } from 'node:fs';

/** The Debian package, and name, of the OCI runtime under test: OCI_RUNTIME, runc or crun. */
export const runtimeName: string = process.env['OCI_RUNTIME'] ?? 'runc';

/** Its path, if OCI_RUNTIME is set; without it each agent chooses. */
const chosen: string | undefined = process.env['OCI_RUNTIME'] === undefined ? undefined : pathOf(runtimeName);

/** Returns the path of an installed runtime. */
function pathOf(name: string): string {
  const paths = ['/usr/sbin', '/usr/bin', '/usr/local/sbin'].map((directory) => `${directory}/${name}`);
  const path = paths.find((each) => existsSync(each));
  if (path === undefined)
    throw new Error(`OCI_RUNTIME=${name}: not installed; help: apt-get install ${name}`);
  return path;
}

/** Adds the runtime of OCI_RUNTIME to a document that has no `oci_runtime`. */
export function withRuntime(config: string): string {
  if (chosen === undefined || /^oci_runtime =/m.test(config)) return config;
  const line = `oci_runtime = ${JSON.stringify(chosen)}`;
  if (/^\[agent\]$/m.test(config)) return config.replace(/^\[agent\]$/m, `[agent]\n${line}`);
  return `${config}\n[agent]\n${line}\n`;
}

const unified = '/sys/fs/cgroup/unified';

/**
 * Commands for the agent's mount namespace: crun refuses hybrid cgroups, and the agent would use runc instead, so that a test
 * with OCI_RUNTIME=crun would show nothing of crun.
 */
export const runtimeSetup: string = commandsFor(runtimeName);

/** The same for an agent whose runtime is another one than OCI_RUNTIME: what the harness does not do already. */
export function setupFor(name: string): string {
  return name === runtimeName ? ':' : commandsFor(name);
}

function commandsFor(name: string): string {
  return name === 'crun' && existsSync(`${unified}/cgroup.controllers`) ? `umount ${unified}` : ':';
}

/** The same for an agent without a document. */
export const runtimeEnvironment: Readonly<Record<string, string>> =
  chosen === undefined ? {} : { KATA_AGENT_OCI_RUNTIME: chosen };
