import { execFile } from 'node:child_process';
import { MeasurementError } from './measurement-error.js';

/** Runs a command of tpm2-tools and gives what it printed. Throws a MeasurementError. */
export type RunTool = (command: string, args: readonly string[]) => Promise<string>;

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
// A TPM answers in milliseconds; one that hangs must not keep the pod from failing.
const timeoutMs = 30_000;

/** tpm2-tools found in PATH, with an environment that holds nothing but what they need. */
export function tpmTools(options: {
  readonly transport: string;
  readonly path?: string | undefined;
}): RunTool {
  const env = {
    PATH: options.path ?? defaultPath,
    LC_ALL: 'C',
    TPM2TOOLS_TCTI: options.transport,
    // The libraries below the tools say the same in words of their own.
    TSS2_LOG: 'all+NONE',
  };
  return (command, args) =>
    new Promise((resolve, reject) => {
      execFile(command, args, { env, timeout: timeoutMs, encoding: 'utf8' }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new MeasurementError(explain(command, error, stderr), { cause: error }));
      });
    });
}

function explain(command: string, error: Error & { readonly killed?: boolean }, stderr: string): string {
  if ('code' in error && error.code === 'ENOENT') return `${command} is not there: install tpm2-tools`;
  if (error.killed === true) return `${command} did not end within ${timeoutMs / 1000} s: look at the TPM`;
  const lines = stderr.split('\n').filter((line) => line.startsWith('ERROR'));
  const first = lines[0]?.replace(/^ERROR:?\s*/, '') ?? error.message;
  return `${command} failed: ${first}`;
}
