import { setTimeout as delay } from 'node:timers/promises';
import { clone, type Message } from '@bufbuild/protobuf';
import type { ExpectedCall } from '@kata-agent/analysis';
import type { MethodName } from '@kata-agent/catalogue';
import {
  type ExecProcessRequest,
  ExecProcessRequestSchema,
  type ReadStreamRequest,
  ReadStreamRequestSchema,
} from '@kata-agent/protocol/agent';
import { findCall } from '../calls/calls.js';
import { CallError } from '../connection/call-error.js';
import type { CallRecord } from './call-record.js';

/** A call of a pod that did not come as it should, and the field of the pod that causes it. */
interface FailedCall {
  readonly method: MethodName;
  readonly because: string;
  readonly status: string;
  readonly said: string;
}

export interface PodOutcome {
  /** The agent does not serve them, or refuses these very requests. */
  readonly refused: readonly FailedCall[];
  /** The agent would serve them, and could not: a sample address, an image that is not there. */
  readonly failed: readonly FailedCall[];
}

/** As much as the runtimes read at once. */
const readBytes = 32 * 1024;

/** Calls that are answered when something has happened: the others go on beside them. */
const waiting: ReadonlySet<MethodName> = new Set<MethodName>([
  'WaitProcess',
  'ReadStdout',
  'ReadStderr',
  'GetOOMEvent',
]);

interface Beside {
  readonly method: MethodName;
  /** Absent: it is of no container. */
  readonly container: string | undefined;
  readonly answered: Promise<void>;
}

/**
 * Makes the calls that a runtime will make for a pod, in its order, and goes on when one fails, so that each has its
 * answer. Identifiers and what the cluster assigns are samples.
 */
export async function replayPod(record: CallRecord, calls: readonly ExpectedCall[]): Promise<PodOutcome> {
  const over = new AbortController();
  const failures: FailedCall[] = [];
  const beside: Beside[] = [];
  let execs = 0;
  for (const expected of calls) {
    const { method, request, because } = expected;
    if (method === 'ExecProcess') execs += 1;
    // The end of the sandbox is that of the agent: what waits gets its answer before.
    if (method === 'DestroySandbox') await endOf(beside, over);
    // A container is removed when it has ended: an init container with 0 lets the next one be created.
    if (method === 'RemoveContainer') await endOfProcess(beside, containerOf(request));
    const made = make(record, expected, `exec-${execs}`, over.signal).catch((error: unknown) => {
      if (over.signal.aborted) return;
      if (!(error instanceof CallError)) throw error;
      failures.push({ method, because, status: error.status, said: error.said });
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

/** How long reads and waits may take when their process was killed, in milliseconds. */
const patienceMs = 5_000;

/** Waits for what ends with its process; GetOOMEvent has no end but this. */
async function endOf(beside: readonly Beside[], over: AbortController): Promise<void> {
  const patience = setTimeout(() => over.abort(), patienceMs);
  await Promise.all(beside.filter(({ method }) => method !== 'GetOOMEvent').map(({ answered }) => answered));
  clearTimeout(patience);
  over.abort();
  await Promise.all(beside.map(({ answered }) => answered));
}

/** Waits, but not for ever, until a container has ended. */
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
  record: CallRecord,
  { method, request, because }: ExpectedCall,
  execId: string,
  over: AbortSignal,
): Promise<void> {
  const at = { phase: 'pod', about: because } as const;
  const signal = waiting.has(method) ? over : undefined;
  await record.call(at, findCall(method), sent(method, request, execId), signal);
}

/** With a name of its own for each process, and a length for each read. */
function sent(method: MethodName, request: Message, execId: string): Message {
  if (method === 'ExecProcess')
    return Object.assign(clone(ExecProcessRequestSchema, request as ExecProcessRequest), { execId });
  if (method === 'ReadStdout' || method === 'ReadStderr')
    return Object.assign(clone(ReadStreamRequestSchema, request as ReadStreamRequest), { len: readBytes });
  return request;
}
