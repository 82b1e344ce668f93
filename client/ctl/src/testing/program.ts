import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('../../bin/kata-agent-ctl.mjs', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built program as a separate process, without the caller's agent address and colours. */
export function runBinary(argv: readonly string[], input = ''): Ended {
  const env = { ...process.env, NO_COLOR: '1' };
  delete (env as Record<string, string | undefined>)['KATA_AGENT_ADDRESS'];
  const result = spawnSync(process.execPath, [entry, ...argv], { encoding: 'utf8', env, input });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}
