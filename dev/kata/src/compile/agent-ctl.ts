// Kata's kata-agent-ctl.
import { join } from 'node:path';
import type { PartContext } from '../part.js';
import { runCargo } from './cargo.js';

/** Returns the path of Kata's kata-agent-ctl: the user's, or one that is built. */
export async function kataAgentCtl({ agentCtl, copy, work, printProgress }: PartContext): Promise<string> {
  if (agentCtl !== undefined) return agentCtl;
  printProgress('building kata-agent-ctl');
  const { code, output } = await runCargo({ copy, work }, [
    'build',
    '--locked',
    '--package',
    'kata-agent-ctl',
  ]);
  if (code !== 0) throw new Error(`cargo build failed:\n${output.trimEnd()}`);
  return join(work, 'target', 'debug', 'kata-agent-ctl');
}
