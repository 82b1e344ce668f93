import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { address, auditLog, containerRoot, inNamespaces, sharedDirectory } from './agent-namespaces.js';
import { type AgentRun, agentRows, runtimes } from './agent-rows.js';
import type { GoPrograms } from './go-programs.js';
import { makeRootfs } from './container.js';
import { agentCommand } from './node-command.js';
import { runForJson } from './program.js';
import type { Row } from './row.js';

interface AgentRequest {
  readonly go: GoPrograms;
  /** Our agent. */
  readonly program: string;
  /** Another agent: a program that listens at KATA_AGENT_SERVER_ADDR. */
  readonly peer: string | undefined;
  readonly quick: boolean;
}

/**
 * Measures what a Kata runtime sees of an agent, from its start to its end: ours with crun, the peer if there is one, and
 * ours with runc, in turn; each is started anew by the same client (bench/go/src/bench-agent), in namespaces of its own.
 * Needs root.
 */
export async function measureAgent({ go, program, peer, quick }: AgentRequest): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  try {
    const rootfs = makeRootfs(directory, ['true', 'yes', 'cat', 'sh']);
    const cgroup = `kata-bench-${process.pid}`;
    const measured = [
      '-address',
      address,
      '-shared',
      sharedDirectory,
      '-rootfs',
      containerRoot,
      '-cgroup',
      cgroup,
    ];
    const size = quick ? ['-lives', '5', '-for', '200ms'] : ['-lives', '20', '-for', '500ms'];
    const run = async (words: readonly string[]): Promise<AgentRun['figures']> => {
      const client = [
        go.agent,
        ...measured,
        ...size,
        '--',
        'env',
        `KATA_AGENT_SERVER_ADDR=unix://${address}`,
      ];
      const [command = '', ...args] = inNamespaces(directory, rootfs, [...client, ...words]);
      return (await runForJson(command, args)) as AgentRun['figures'];
    };
    const runs: AgentRun[] = [];
    for (let round = 0; round < (quick ? 1 : 4); round += 1) {
      for (const [index, runtime] of runtimes.entries()) {
        const file = join(directory, `${runtime}.toml`);
        writeFileSync(file, configurationText(runtime), { mode: 0o600 });
        runs.push({ agent: runtime, figures: await run([...agentCommand(program), '-c', file]) });
        if (index === 0 && peer !== undefined) runs.push({ agent: 'peer', figures: await run([peer]) });
      }
    }
    return agentRows(runs, peer === undefined ? undefined : basename(peer));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The methods of a pod, and those that are measured; with an audit log, which the namespace has on a tmpfs. */
function configurationText(runtime: string): string {
  const path = spawnSync('sh', ['-c', `command -v ${runtime}`], { encoding: 'utf8' }).stdout.trim();
  return [
    '[agent]',
    `oci_runtime = ${JSON.stringify(path)}`,
    // The requests have no masked paths.
    'privileged_containers = "allow"',
    '[api]',
    'release = "4.1"',
    'allowed_endpoints = ["@pod", "@stdio", "@stats", "ExecProcess", "CopyFile"]',
    '[audit]',
    `file = ${JSON.stringify(auditLog)}`,
    '',
  ].join('\n');
}
