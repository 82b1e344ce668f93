import { readBytes } from '@kata-agent/catalogue';
import { setTimeout as delay } from 'node:timers/promises';
import { clone, type Message } from '@bufbuild/protobuf';
import type { ExpectedCall } from '@kata-agent/workloads';
import type { MethodName } from '@kata-agent/catalogue';
import {
  type ExecProcessRequest,
  ExecProcessRequestSchema,
  type ReadStreamRequest,
  ReadStreamRequestSchema,
} from '@kata-agent/protocol/agent';
import { findCall } from '../calls.js';
import { CallError } from '@kata-agent/cli';
import type { ReplayedCalls } from './replayed-calls.js';

/** An unexpected result of a pod's call, and the pod field that causes the call. */
interface FailedCall {
  readonly method: MethodName;
  readonly because: string;
  readonly status: string;
  readonly serverMessage: string;
}

export interface PodOutcome {
  /** Methods that are not served, and requests that are denied. */
  readonly refused: readonly FailedCall[];
  /** Served calls that cannot succeed here: a sample address, a missing image. */
  readonly failed: readonly FailedCall[];
}

/** Calls that block until an event; the other calls continue meanwhile. */
const waiting: ReadonlySet<MethodName> = new Set<MethodName>([
  'WaitProcess',
  'ReadStdout',
  'ReadStderr',
  'GetOOMEvent',
]);

interface Beside {
  readonly method: MethodName;
  /** Absent if the call has no container. */
  readonly container: string | undefined;
  readonly answered: Promise<void>;
}

/**
 * Makes the calls that a runtime is expected to make for a pod, in order, and continues after a failed call, so that
 * each call gets an answer. Identifiers and values that the cluster assigns are samples.
 */
export async function replayPod(record: ReplayedCalls, calls: readonly ExpectedCall[]): Promise<PodOutcome> {
  const over = new AbortController();
  const failures: FailedCall[] = [];
  const beside: Beside[] = [];
  let execs = 0;
  for (const expected of calls) {
    const { method, request, because } = expected;
    if (method === 'ExecProcess') execs += 1;
    // The agent ends with its sandbox: blocking calls must be answered before.
    if (method === 'DestroySandbox') await endOf(beside, over);
    // A container is removed after it ended: runtimes create the next container after an init container exited with 0.
    if (method === 'RemoveContainer') await endOfProcess(beside, containerOf(request));
    const made = make(record, expected, `exec-${execs}`, over.signal).catch((error: unknown) => {
      if (over.signal.aborted) return;
      if (!(error instanceof CallError)) throw error;
      failures.push({ method, because, status: error.status, serverMessage: error.serverMessage });
    });
    if (waiting.has(method)) beside.push({ method, container: containerOf(request), answered: made });
    else await made;
  }
  await endOf(beside, over);
  const isRefusal = ({ status }: FailedCall): boolean =>
    status === 'UNIMPLEMENTED' || status === 'PERMISSION_DENIED';
  return {
    refused: failures.filter(isRefusal),
    failed: failures.filter((failure) => !isRefusal(failure)),
  };
}

/** How long reads and waits may take after their process was killed, in milliseconds. */
const patienceMs = 5_000;

/** Waits for calls that end with their process. GetOOMEvent ends only with the connection. */
async function endOf(beside: readonly Beside[], over: AbortController): Promise<void> {
  const patience = setTimeout(() => over.abort(), patienceMs);
  await Promise.all(beside.filter(({ method }) => method !== 'GetOOMEvent').map(({ answered }) => answered));
  clearTimeout(patience);
  over.abort();
  await Promise.all(beside.map(({ answered }) => answered));
}

/** Waits, with a limit, until a container has ended. */
async function endOfProcess(beside: readonly Beside[], id: string | undefined): Promise<void> {
  const waits = beside.filter(({ method, container }) => method === 'WaitProcess' && container === id);
  const patience = new AbortController();
  await Promise.race([
    Promise.all(waits.map(({ answered }) => answered)),
    delay(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined),
  ]);
  patience.abort();
}

function containerOf(request: Message): string | undefined {
  return (request as { readonly containerId?: string }).containerId;
}

async function make(
  record: ReplayedCalls,
  { method, request, because }: ExpectedCall,
  execId: string,
  over: AbortSignal,
): Promise<void> {
  const at = { phase: 'pod', about: because } as const;
  const signal = waiting.has(method) ? over : undefined;
  await record.call(at, findCall(method), sent(method, request, execId), signal);
}

/** Sets a distinct process name, and a length for each read. */
function sent(method: MethodName, request: Message, execId: string): Message {
  if (method === 'ExecProcess')
    return Object.assign(clone(ExecProcessRequestSchema, request as ExecProcessRequest), { execId });
  if (method === 'ReadStdout' || method === 'ReadStderr')
    return Object.assign(clone(ReadStreamRequestSchema, request as ReadStreamRequest), { len: readBytes });
  return request;
}
