import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { AgentService } from '@kata-agent/protocol/agent';
import { withPureCgroups } from '@kata-agent/setup/pure-cgroups';

/** Paths in the namespaces of a measured agent, whose /run is its own. */
export const address: string = '/run/kata-bench/agent.sock';
export const auditLog: string = '/run/kata-bench/audit.log';
export const sharedDirectory: string = '/run/kata-containers/shared/containers';
export const containerRoot: string = `${sharedDirectory}/bench/rootfs`;

/**
 * Prepares a mount namespace in which another agent than ours does no harm and finds what it needs: a /run of its own with
 * the root file system of the containers, an empty file over each disk, and a policy that allows everything.
 * $1: the root file system, $2: the policy. Then executes the words that follow.
 */
const script = [
  'rootfs=$1 && policy=$2 && shift 2',
  'mount -t tmpfs -o mode=755 tmpfs /run',
  `mkdir -p /run/kata-bench/upper /run/kata-bench/work ${containerRoot}`,
  `mount --bind "$rootfs" ${containerRoot}`,
  ': >/run/kata-bench/disk',
  'for disk in $(find /dev -xdev -type b); do mount --bind /run/kata-bench/disk "$disk" || exit; done',
  'mount -t overlay -o lowerdir=/etc,upperdir=/run/kata-bench/upper,workdir=/run/kata-bench/work overlay /etc',
  'mkdir -p /etc/kata-opa',
  'cp "$policy" /etc/kata-opa/default-policy.rego',
  'exec "$@"',
].join(' && ');

/** Returns Kata's policy that allows each request, by the names of the messages. */
export function allowAllPolicy(): string {
  const names = [...new Set(AgentService.methods.map(({ input }) => input.name))].toSorted();
  return ['package agent_policy', '', ...names.map((name) => `default ${name} := true`), ''].join('\n');
}

/**
 * Returns the words that execute others in namespaces of their own (mounts, processes, network, host name), without hybrid
 * cgroups. Whatever runs in them ends with the first process. Needs root.
 */
export function inNamespaces(directory: string, rootfs: string, words: readonly string[]): readonly string[] {
  const policy = join(directory, 'allow-all.rego');
  writeFileSync(policy, allowAllPolicy());
  const unshare = [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    '--pid',
    '--mount-proc',
    '--net',
    '--uts',
  ];
  const ended = ['--fork', '--kill-child'];
  return withPureCgroups([...unshare, ...ended, 'sh', '-c', script, 'sh', rootfs, policy, ...words]);
}
