// Package registries that do not answer, npm's and apt's: a step is tried again, and then named with the address.
import { spawnSync } from 'node:child_process';

/** Seconds between two tries. npm and apt try each file again too (.npmrc, Acquire::Retries). */
export const usualPauses = [2, 8, 20];

/** Where apt's mirrors are configured. */
export const aptSources = 'the mirror in /etc/apt/sources.list or sources.list.d';

/** Of npm's error codes, those of a registry that cannot be reached or does not answer as it should just now. */
const npmCodes =
  /^npm (?:error|ERR!) code (E(?:429|5\d\d|CONN(?:REFUSED|RESET|ABORTED)|TIMEDOUT|SOCKETTIMEDOUT|HOSTUNREACH|NETUNREACH|NOTFOUND|AI_AGAIN|PIPE)|ERR_SOCKET_TIMEOUT|FETCH_ERROR|E_?IDLETIMEOUT|ERR_STREAM_PREMATURE_CLOSE)$/m;

/**
 * What npm or apt-get said of a registry that did not answer: `url` and `reason`; undefined when it failed for another reason,
 * which a second try does not change.
 */
export function registryFault(program, said) {
  return program === 'apt-get' ? aptFault(said) : npmFault(said);
}

function npmFault(said) {
  const code = npmCodes.exec(said)?.[1];
  if (code === undefined) return undefined;
  const url = /https?:\/\/[^\s,'"]+/.exec(said)?.[0] ?? 'the registry of `npm config get registry`';
  const [reason = code] = [/reason: (.+)$/m, /^npm (?:error|ERR!) (\d{3} [^-]+?) -/m, /network (timeout) at:/]
    .map((pattern) => pattern.exec(said)?.[1])
    .filter((found) => found !== undefined);
  return { url, reason };
}

function aptFault(said) {
  const [, url, reason] = /^[EW]: Failed to fetch (\S+)\s+(.+)$/m.exec(said) ?? [];
  if (url === undefined || /^404\b|not signed|Hash Sum/.test(reason)) return undefined;
  return { url, reason: reason.replace(/ \[IP: .*\]$/, '') };
}

/** Waits without an event loop. */
function sleep(seconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
}

/**
 * Runs npm or apt-get to its end; again, after growing pauses, while the registry does not answer. Answers `ok`, `said` (all
 * that the last try printed) and, when the registry never answered, `fault`.
 */
export function patiently(program, args, { pauses = usualPauses, say, ...options }) {
  for (let tried = 1; ; tried += 1) {
    const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 64 << 20, ...options });
    const said = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`;
    if (result.status === 0) return { ok: true, said };
    const fault = registryFault(program, said);
    const pause = pauses[tried - 1];
    if (fault === undefined || pause === undefined) return { ok: false, said, fault };
    say(`${fault.url}: ${fault.reason}: try ${tried + 1} of ${pauses.length + 1} in ${pause} s`);
    sleep(pause);
  }
}

/** For people: which registry did not answer at which step, and what to do. */
export function faultText(step, { url, reason }, settings) {
  return [
    `${step}: ${url} does not answer: ${reason}`,
    `help: check the network and ${settings}, then run the same command again; it goes on from what is there`,
  ].join('\n');
}
