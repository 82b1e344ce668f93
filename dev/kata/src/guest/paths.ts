// Programs and files of this repository that a guest needs.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '@kata-agent/setup/bootstrap';

export const agentProgram: string = join(root, 'agent', 'server', 'bin', 'kata-agent.mjs');

/** A configuration that serves everything. */
export const openConfiguration: string = join(root, 'examples', 'open.toml');

/** Preloaded by an agent: mounts of virtio-fs become bind mounts. */
export const virtiofsPreload: string = fileURLToPath(
  import.meta.resolve('@kata-agent/tool-command/virtiofs-bind'),
);

/** The program that replaces Cloud Hypervisor. */
export const vmmProgram: string = fileURLToPath(new URL('cloud-hypervisor.js', import.meta.url));

export const ctlProgram: string = join(root, 'client', 'ctl', 'bin', 'kata-agent-ctl.mjs');

/** The name of a configuration in the directory of the guests, for those that start while it is there. */
export const givenConfiguration = 'agent.toml';
