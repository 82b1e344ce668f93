// Retries npm and apt-get if their registry does not respond, and describes the error with the registry's address.
import { spawnSync } from 'node:child_process';

/** Seconds between tries. npm and apt also retry each file (.npmrc, Acquire::Retries). */
export const defaultPauses = [2, 8, 20];

/** The configuration of apt's mirrors, for messages. */
export const aptSources = 'the mirror in /etc/apt/sources.list or sources.list.d';

/** Matches npm's error codes for a registry that cannot be reached or fails temporarily. */
const npmCodes =
  /^npm (?:error|ERR!) code (E(?:429|5\d\d|CONN(?:REFUSED|RESET|ABORTED)|TIMEDOUT|SOCKETTIMEDOUT|HOSTUNREACH|NETUNREACH|NOTFOUND|AI_AGAIN|PIPE)|ERR_SOCKET_TIMEOUT|FETCH_ERROR|E_?IDLETIMEOUT|ERR_STREAM_PREMATURE_CLOSE)$/m;

/**
 * A registry that did not respond: a URL of it, and the reason.
 *
 * @typedef {{ readonly url: string, readonly reason: string }} RegistryError
 */

/**
 * The result of a step. `output`: stdout and stderr of the last try; `registryError`: set if a registry did not
 * respond.
 *
 * @typedef {object} Outcome
 * @property {boolean} ok
 * @property {string} output
 * @property {RegistryError} [registryError]
 */

/**
 * Parses the output of npm or apt-get. Returns undefined if it failed for a reason other than a registry that
 * did not respond; a retry would fail again.
 *
 * @param {string} program
 * @param {string} output
 * @returns {RegistryError | undefined}
 */
export function parseRegistryError(program, output) {
  return program === 'apt-get' ? parseAptError(output) : parseNpmError(output);
}

/**
 * @param {string} output
 * @returns {RegistryError | undefined}
 */
function parseNpmError(output) {
  const code = npmCodes.exec(output)?.[1];
  if (code === undefined) return undefined;
  const url = /https?:\/\/[^\s,'"]+/.exec(output)?.[0] ?? 'the registry of `npm config get registry`';
  const [reason = code] = [/reason: (.+)$/m, /^npm (?:error|ERR!) (\d{3} [^-]+?) -/m, /network (timeout) at:/]
    .map((pattern) => pattern.exec(output)?.[1])
    .filter((found) => found !== undefined);
  return { url, reason };
}

/**
 * @param {string} output
 * @returns {RegistryError | undefined}
 */
function parseAptError(output) {
  const [, url, reason] = /^[EW]: Failed to fetch (\S+)\s+(.+)$/m.exec(output) ?? [];
  if (url === undefined || reason === undefined || /^404\b|not signed|Hash Sum/.test(reason))
    return undefined;
  return { url, reason: reason.replace(/ \[IP: .*\]$/, '') };
}

/**
 * Blocks the thread.
 *
 * @param {number} seconds
 */
function sleep(seconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
}

/**
 * `pauses`: seconds between tries; `printProgress` prints a message before each retry.
 *
 * @typedef {object} RetryOptions
 * @property {readonly number[]} [pauses]
 * @property {(text: string) => void} printProgress
 */

/**
 * Runs npm or apt-get. Retries after each pause if the registry does not respond.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {RetryOptions & { cwd?: string, env?: NodeJS.ProcessEnv }} options
 * @returns {Outcome}
 */
export function runWithRetries(program, args, { pauses = defaultPauses, printProgress, ...options }) {
  for (let tries = 1; ; tries += 1) {
    const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 64 << 20, ...options });
    const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`;
    if (result.status === 0) return { ok: true, output };
    const registryError = parseRegistryError(program, output);
    const pause = pauses[tries - 1];
    if (registryError === undefined || pause === undefined)
      return { ok: false, output, ...(registryError === undefined ? {} : { registryError }) };
    printProgress(
      `${registryError.url}: ${registryError.reason}: try ${tries + 1} of ${pauses.length + 1} in ${pause} s`,
    );
    sleep(pause);
  }
}

/**
 * Returns a message with the step, the registry that did not respond, and help. `settings`: where its address
 * is configured.
 *
 * @param {string} step
 * @param {RegistryError} error
 * @param {string} settings
 */
export function registryErrorText(step, { url, reason }, settings) {
  return [
    `${step}: ${url} does not respond: ${reason}`,
    `help: check the network and ${settings}, then run the same command again; it reuses finished downloads`,
  ].join('\n');
}
