import { setTimeout as pause } from 'node:timers/promises';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { AgentService } from '@kata-agent/protocol/agent';
import { findCall, messageToJson } from '../calls.js';
import { CallError } from '@kata-agent/cli';
import { processOf } from './container-request.js';
import { writeVolume } from './kubelet-volume.js';
import type { OomEvents } from './oom-events.js';
import type { ReplayedCalls, Runtime } from './replayed-calls.js';
import { RunningProcess } from './running-process.js';
import type { Step } from './scenario.js';

/** The running pod of a replay. */
export interface RunningPod {
  readonly record: ReplayedCalls;
  readonly runtime: Runtime;
  readonly processes: ReadonlyMap<string, RunningProcess>;
  readonly oom: OomEvents;
  /** Returns the name of the next exec. */
  nextExecId(): string;
}

/** The result of a step: undefined on success, else what was found instead. */
type Found = string | undefined;

/** The default time to wait for a condition. */
const patienceMs = 30_000;
const againMs = 100;

/**
 * Performs a step, and retries until it succeeds or its time is over. Resolves with what was found instead on
 * failure.
 */
export async function performStep(step: Step, pod: RunningPod): Promise<Found> {
  const limit = AbortSignal.timeout(step.withinMs || patienceMs);
  for (;;) {
    const found = await once(step, pod, limit);
    if (found === undefined || step.withinMs === 0 || limit.aborted) return found;
    await pause(againMs);
  }
}

async function once(step: Step, pod: RunningPod, limit: AbortSignal): Promise<Found> {
  switch (step.kind) {
    case 'exec':
      return exec(step, pod);
    case 'call':
      return call(step, pod);
    case 'output': {
      const process = processOfContainer(pod, step.container);
      while (!step.pattern.test(process.stdout)) {
        const before = process.stdout;
        const more = await inTime(process.changed(), limit);
        if (!more || process.stdout === before)
          return `${String(step.pattern)} is not in the output ${JSON.stringify(before)}`;
      }
      return undefined;
    }
    case 'exit': {
      const { exit } = processOfContainer(pod, step.container);
      if (!(await inTime(exit, limit))) return `it is still running`;
      const status = await exit;
      return status === step.status ? undefined : `it exited with ${status}, expected ${step.status}`;
    }
    case 'oom': {
      const event = pod.oom.next(limit);
      if (!(await inTime(event, limit))) return 'no event';
      const container = await event;
      return container === step.container ? undefined : `the event was for ${container}`;
    }
    case 'volume':
      writeVolume(step.volume);
      return undefined;
  }
}

async function exec(step: Step & { kind: 'exec' }, pod: RunningPod): Promise<Found> {
  const { record, runtime } = pod;
  const at = { phase: 'exec', about: step.name } as const;
  const target = { containerId: step.container, execId: pod.nextExecId() };
  await record.call(at, AgentService.method.execProcess, { ...target, process: processOf(step.args) });
  const { stdin } = step;
  const process = new RunningProcess(record, target, { ...at, runtime, terminal: false, stdin });
  const status = await process.exit;
  const printed = `stdout ${JSON.stringify(process.stdout)}, stderr ${JSON.stringify(process.stderr)}`;
  const { expect } = step;
  if (status !== expect.status) return `it exited with ${status}, expected ${expect.status}: ${printed}`;
  if (expect.stdout?.test(process.stdout) === false)
    return `stdout does not match ${String(expect.stdout)}: ${printed}`;
  if (expect.stderr?.test(process.stderr) === false)
    return `stderr does not match ${String(expect.stderr)}: ${printed}`;
  return undefined;
}

async function call(step: Step & { kind: 'call' }, { record }: RunningPod): Promise<Found> {
  const method = findCall(step.method);
  const { expect } = step;
  let reply: JsonValue;
  try {
    const request = fromJson(method.input, step.request);
    reply = messageToJson(
      method.output,
      await record.call({ phase: 'observe', about: step.name }, method, request),
    );
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    if (error.status !== expect.code)
      return `${step.method} answered ${error.status}: ${error.serverMessage}`;
    if ('says' in expect && expect.says !== undefined && !expect.says.test(error.serverMessage))
      return `the message is ${JSON.stringify(error.serverMessage)}`;
    return undefined;
  }
  if (expect.code !== 'OK') return `${step.method} succeeded, expected ${expect.code}`;
  return 'reply' in expect && expect.reply !== undefined
    ? mismatch(reply, expect.reply, 'the reply')
    : undefined;
}

function processOfContainer({ processes }: RunningPod, container: string): RunningProcess {
  const process = processes.get(container);
  if (process === undefined) throw new TypeError(`container ${container} has no process`);
  return process;
}

/** Reports whether a promise settled in time. Rejects if the promise does. */
async function inTime(event: Promise<unknown>, limit: AbortSignal): Promise<boolean> {
  const late = new Promise<boolean>((resolve) => {
    if (limit.aborted) resolve(false);
    limit.addEventListener('abort', () => resolve(false), { once: true });
  });
  return Promise.race([event.then(() => true), late]);
}

/**
 * Returns the first difference between a value and the expected one, or undefined. A mapping must have the expected
 * members and can have others. A list must have a matching entry for each expected one. Numbers and strings are
 * compared as text, since 64-bit numbers are strings in JSON. A string between slashes is a regular expression.
 */
export function mismatch(value: JsonValue | undefined, wanted: JsonValue, path: string): string | undefined {
  if (Array.isArray(wanted)) {
    const entries = Array.isArray(value) ? value : [];
    const lost = wanted.find((one) => entries.every((entry) => mismatch(entry, one, '') !== undefined));
    return lost === undefined
      ? undefined
      : `${path} has no ${JSON.stringify(lost)}: ${JSON.stringify(value)}`;
  }
  if (typeof wanted === 'object' && wanted !== null) {
    const members = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
    for (const [name, one] of Object.entries(wanted)) {
      const found = mismatch(members[name], one, `${path}.${name}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const pattern = typeof wanted === 'string' ? /^\/(.*)\/$/s.exec(wanted)?.[1] : undefined;
  if (pattern !== undefined ? new RegExp(pattern, 'm').test(text ?? '') : text === String(wanted))
    return undefined;
  return `${path} is ${text ?? 'absent'}, not ${String(wanted)}`;
}
