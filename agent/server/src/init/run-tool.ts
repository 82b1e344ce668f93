import { spawn, spawnSync } from 'node:child_process';

/** The error of a finished program, as text; undefined on success. */
export type Complaint = string | undefined;

/** Runs a program to completion, with an empty environment. */
export function runTool(program: string, args: readonly string[]): Complaint {
  const { error, status, stderr } = spawnSync(program, args, {
    env: {},
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return complaint(program, args, error ?? { status, stderr });
}

/** Runs a program in the background. */
export async function startTool(program: string, args: readonly string[]): Promise<Complaint> {
  const child = spawn(program, args, { env: {}, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const end = await new Promise<Error | { status: number | null; stderr: string }>((resolve) => {
    child.once('error', resolve);
    child.once('close', (status) => resolve({ status, stderr }));
  });
  return complaint(program, args, end);
}

function complaint(
  program: string,
  args: readonly string[],
  end: Error | { readonly status: number | null; readonly stderr: string },
): Complaint {
  if (end instanceof Error) return `${program}: ${end.message}`;
  return end.status === 0 ? undefined : `${program} ${args.join(' ')}: ${end.stderr.trim()}`;
}
