import { GuestError } from '../guest-error.js';
import type { Tools } from '../tool/tools.js';
import { quotedWord } from '../quoted.js';
import type { Family } from './network-values.js';

/** Options of `ip` for one address family. */
export const familyOption: Readonly<Record<Family, string>> = { v4: '-4', v6: '-6' };

const iproute2 = { program: 'ip', package: 'iproute2' };

/** Runs `ip` (iproute2). A refusal is a GuestError with the kernel's message; no other code translates these. */
export async function ip(tools: Tools, args: readonly string[], input?: Uint8Array): Promise<Buffer> {
  const { status, stdout, stderr } = await tools.run(iproute2, args, input);
  if (status === 0) return stdout;
  throw ipError(args, stderr);
}

/**
 * Runs commands of `ip`, which are checked words, in one process and in this order. Stops at the first that the kernel
 * refuses, with the same errors.
 */
export async function ipBatch(
  tools: Tools,
  options: readonly string[],
  commands: readonly (readonly string[])[],
): Promise<void> {
  if (commands.length === 0) return;
  const { status, stderr } = await tools.run(iproute2, [...options, '-batch', '-'], batchText(commands));
  if (status === 0) return;
  const number = /^Command failed -:(\d+)$/m.exec(stderr)?.[1] ?? '1';
  throw ipError([...options, ...(commands[Number(number) - 1] ?? [])], stderr);
}

/**
 * Restores a previous state: runs all commands, also after one that fails. Deleting what no longer exists is not a
 * failure.
 *
 * @throws GuestError with all other messages of `ip`.
 */
export async function ipPutBack(
  tools: Tools,
  options: readonly string[],
  commands: readonly (readonly string[])[],
): Promise<void> {
  if (commands.length === 0) return;
  const args = [...options, '-force', '-batch', '-'];
  const { status, stderr } = await tools.run(iproute2, args, batchText(commands));
  if (status === 0) return;
  const message = stderr.replace(
    /^(?:Command failed .*|.*No such process.*|.*No such file or directory.*)$/gm,
    '',
  );
  if (message.trim() !== '') throw ipError(args, message);
}

/** Runs all commands. Those that the kernel refuses have no effect, and are no failure. */
export async function ipWhereAccepted(
  tools: Tools,
  options: readonly string[],
  commands: readonly (readonly string[])[],
): Promise<void> {
  if (commands.length > 0)
    await tools.run(iproute2, [...options, '-force', '-batch', '-'], batchText(commands));
}

function batchText(commands: readonly (readonly string[])[]): Buffer {
  for (const word of commands.flat()) {
    // Characters with a meaning in a line of a batch (iproute2, lib/utils.c, getcmdline and makeargs).
    if (/[\s"'#\\]/.test(word) || word === '')
      throw new GuestError('invalid', `${quotedWord(word)} cannot be an argument of ip`);
  }
  return Buffer.from(commands.map((words) => `${words.join(' ')}\n`).join(''));
}

function ipError(args: readonly string[], stderr: string): GuestError {
  const message = stderr
    .replace(/^(RTNETLINK answers|Error|Cannot find device): /gm, '')
    .replace(/^Command failed .*$/gm, '')
    .trim();
  // Kata's Go runtime tries UpdateInterface again when it reads these words (docs/records/kata-facts.md, "What clients look for
  // in errors").
  if (/Cannot find device|does not exist/.test(stderr)) {
    return new GuestError('not-found', `Link not found (${message})`);
  }
  const invalid = /Invalid argument|Nexthop has invalid gateway|is invalid|Network is unreachable/.test(
    stderr,
  );
  return new GuestError(invalid ? 'invalid' : 'internal', `ip ${args.join(' ')}: ${message}`);
}

/**
 * Makes a change of the network; if it fails half-way, restores the previous state (S30).
 *
 * @throws what `change` throws; `internal` with both messages if not all could be restored.
 */
export async function orRestore(change: () => Promise<void>, restore: () => Promise<void>): Promise<void> {
  try {
    await change();
  } catch (error) {
    try {
      await restore();
    } catch (second) {
      const message = `${text(error)}; the previous state could not be restored: ${text(second)}`;
      throw new GuestError('internal', message, { cause: error });
    }
    throw error;
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
