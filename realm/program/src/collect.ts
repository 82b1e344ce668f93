import type { Collected, CollectorEvent, RealmLog, SinkAddress, SinkEvent } from '@kata-agent/realm';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  parseDuration,
  timeoutOf,
  trustText,
  version,
  witnessKeys,
  witnessOption,
} from '@kata-agent/cli';
import { collectedAgents } from './collected-agents.js';

/** Of all logs in a directory, which agents share; with many agents more. */
const maxBytes = 64 * 1024 ** 3;
const minOfAgent = 1024 ** 3;
/** More are nearly a copy of the log. */
const maxRepeated = 100_000;

export const collect: CommandDefinition = {
  path: 'collect',
  summary: 'copy the audit logs of agents out of their guests as they are written, and report faults',
  details: [
    'Calls Management.WatchAudit of each agent until SIGTERM or SIGINT, and connects again whenever a connection ends. Each record is verified, and stored or sent unchanged, from where the receiver has the log, whichever of the two ends and starts again. --to names the receiver:',
    'DIR: each record once. The logs are DIR/guests/ID/*.log; audit verify and audit show read them. One process uses a directory at a time. At 64 GiB nothing more is stored, and nothing is removed.',
    'jetstream+tls://HOST[:4222][,HOST…][/STREAM]: each record once, in a stream of NATS (kata-audit) with a subject for each log. jetstream+nats:// is for loopback addresses.',
    'otlp+https://HOST[:4318][/v1/logs]: each record at least once, by OpenTelemetry’s exporter. Headers are those of OTEL_EXPORTER_OTLP_HEADERS. otlp+http:// is for loopback addresses.',
    'syslog+tls://HOST[:6514]: RFC 5424 over TLS, which has no acknowledgement: records can be repeated, and lost if more than --repeat were on the way when a connection ended.',
    'The log on standard error has an ALERT for missing records, a line that does not follow, a checkpoint of the agent that does not agree with its records, another log at the same address (a second or cloned guest), a further start of the agent, records that the receiver has rejected, and silence. The exit code is 4 if a log has such a fault, also from an earlier run.',
  ],
  options: [
    {
      flags: '--to <receiver>',
      description: 'a directory, or otlp+https://, syslog+tls://, jetstream+tls://',
    },
    {
      flags: '--agents <file>',
      description: 'several agents: TOML with [[agent]], name and address of each',
    },
    {
      flags: '--records <source>',
      description:
        'with realm://: guest asks the guest through the realm (default); realm asks the realm for what it has stored of the guest, also of one that is away',
      choices: ['guest', 'realm'],
    },
    {
      flags: '--name <name>',
      description: 'names the agent in the receiver, if its address can change (default: the address)',
    },
    {
      flags: '--state <directory>',
      description:
        'with otlp+https:// and syslog+tls://: the directory of what was sent, which must outlive the process',
    },
    { flags: '--to-ca <file>', description: 'the CAs of the receiver, PEM (default: those of Node.js)' },
    { flags: '--to-cert <file>', description: 'a client certificate for the receiver, PEM' },
    { flags: '--to-key <file>', description: 'its private key, PEM' },
    { flags: '--to-creds <file>', description: 'with jetstream: credentials, a .creds file' },
    { flags: '--to-nkey <file>', description: 'with jetstream: credentials, the seed of an nkey' },
    {
      flags: '--repeat <n>',
      description:
        'with syslog+tls://: how many of the last records of a log are sent again after a new connection',
      fallback: '1000',
    },
    {
      flags: '--silence <duration>',
      description: 'report an agent without a record for this time: three of its heartbeats',
      fallback: '180s',
    },
    {
      flags: '--checkpoint-every <duration>',
      description:
        'how often an agent that serves GetCheckpoint is asked for a checkpoint, to be compared; 0: never',
      fallback: '60s',
    },
    witnessOption,
    {
      flags: '--quorum <n>',
      description: 'how many of the witnesses must have cosigned each checkpoint',
      fallback: '1',
    },
    {
      flags: '--log-format <format>',
      description: 'the format of the log on standard error',
      choices: ['json', 'text'],
      fallback: 'json',
    },
  ],
  examples: [
    {
      line: 'kata-realm collect -a vsock://3:1025 -a vsock://4:1025 --to /var/lib/kata-audit',
      description: 'Collects the logs of two guests of this node in a directory, until interrupted.',
    },
    {
      line: 'kata-realm collect --agents agents.toml --to otlp+https://otel.example:4318 --to-ca ca.pem --state /var/lib/kata-collect',
      description: 'Sends the logs of all agents of a file to an OpenTelemetry collector.',
    },
    {
      line: 'kata-realm collect -a realm://realm.example/web --records realm --cert me.pem --key me.key --realm-ca realm-ca.pem --to /var/lib/kata-audit',
      description: 'Copies what a realm has stored of a guest, and what it stores from then on.',
    },
    {
      line: 'kata-realm collect -a unix:///run/agent.sock --to syslog+tls://siem.example --state /var/lib/kata-collect',
      description: 'Sends a log to a SIEM by syslog over TLS.',
    },
    {
      line: 'kata-realm collect --agents agents.toml --to jetstream+tls://nats.example/kata-audit --to-nkey collector.nk',
      description: 'Stores the logs in a stream of NATS.',
    },
  ],
  connects: 'many',
  run: async (invocation) => {
    const { io, options } = invocation;
    if (options.text('attested') !== undefined)
      throw new CommandError(ExitCode.Usage, '--attested is not supported by kata-realm collect', {
        help: ["pass --pin: the agent's key, as attest and evidence verify have it"],
      });
    const agents = await collectedAgents(invocation);
    const { collectLogs, createRealmLog } = await import('@kata-agent/realm');
    const to = await receiverOf(invocation);
    const { limitUnacknowledged, loadSyscalls } = await import('@kata-agent/linux');
    const log = createRealmLog({
      source: 'collector',
      format: options.text('logFormat') === 'text' ? 'text' : 'json',
      version,
      write: (line) => void io.stderr.write(line),
    });
    const syscalls = loadSyscalls();
    const silenceMs = parseDuration(options.text('silence') ?? '', '--silence');
    const checkpoints = checkpointsOf(invocation);
    const ofRealm = agents.find(({ source }) => source.kind === 'realm');
    if (ofRealm !== undefined && checkpoints !== undefined && checkpoints.witnesses.length > 0)
      throw new CommandError(
        ExitCode.Usage,
        `--witness is of checkpoints, and the realm has none of ${ofRealm.name}`,
        { help: ['leave --witness out, or collect from the guest: without --records realm'] },
      );
    const sink = {
      to,
      state: options.text('state'),
      files: filesOf(invocation),
      timeoutMs: timeoutOf(invocation),
      repeat: options.whole('repeat', 1, maxRepeated) ?? 1,
      version,
      tryLock: (descriptor: number) => syscalls.tryLock(descriptor),
      limitUnacknowledged: (socket: object, limitMs: number) =>
        limitUnacknowledged(syscalls, socket, limitMs),
    };
    const collected = await untilStopped(invocation, (signal) =>
      collectLogs({
        agents,
        sink,
        maxBytes: Math.max(maxBytes, agents.length * minOfAgent),
        silenceMs,
        checkpoints,
        onEvent: (agent, event) => writeEvent(log, agent, event),
        onSinkEvent: (event) => writeSinkEvent(log, event),
        signal,
      }),
    ).catch(async (error: unknown) => {
      throw await commandErrorOf(error);
    });
    for (const { name, log: what, path } of collected) {
      const { state, records, lastSequence } = what;
      log('info', 'the collector ends', { agent: name, state, records, lastSequence, path });
    }
    return exitCodeOf(collected);
  },
};

async function receiverOf({ options }: Invocation): Promise<SinkAddress> {
  const { parseSink, sinkForms } = await import('@kata-agent/realm');
  const text = options.text('to');
  if (text === undefined)
    throw new CommandError(ExitCode.Usage, '--to is missing: where the logs are stored or sent', {
      help: [`--to takes ${sinkForms}`],
    });
  try {
    const to = parseSink(text);
    const wrong = uselessOption(options, to);
    if (wrong !== undefined) throw new Error(`${wrong} has no effect with it`);
    return to;
  } catch (error) {
    throw new CommandError(ExitCode.Usage, `--to '${text}': ${(error as Error).message}`, {
      help: [`--to takes ${sinkForms}`],
    });
  }
}

/** Returns an option that is given and of another receiver. */
function uselessOption(options: Invocation['options'], to: SinkAddress): string | undefined {
  const isTls =
    to.kind === 'syslog' || (to.kind === 'otlp' && to.isTls) || (to.kind === 'jetstream' && to.tls);
  const usable: Readonly<Record<string, boolean>> = {
    state: to.kind === 'otlp' || to.kind === 'syslog',
    'to-ca': isTls,
    'to-cert': isTls,
    'to-key': isTls,
    'to-creds': to.kind === 'jetstream',
    'to-nkey': to.kind === 'jetstream',
  };
  const given = Object.keys(usable).filter((flag) => options.text(optionOf(flag)) !== undefined);
  const useless = given.find((flag) => usable[flag] !== true);
  return useless === undefined ? undefined : `--${useless}`;
}

function optionOf(flag: string): string {
  return flag.replace(/-([a-z])/g, (_all, letter: string) => letter.toUpperCase());
}

function filesOf({
  options,
}: Invocation): Readonly<Record<'ca' | 'cert' | 'key' | 'creds' | 'nkey', string | undefined>> {
  return {
    ca: options.text('toCa'),
    cert: options.text('toCert'),
    key: options.text('toKey'),
    creds: options.text('toCreds'),
    nkey: options.text('toNkey'),
  };
}

function checkpointsOf({
  options,
}: Invocation): Parameters<typeof import('@kata-agent/realm').collectLogs>[0]['checkpoints'] {
  const every = options.text('checkpointEvery') ?? '';
  const witnesses = witnessKeys(options);
  const quorum = options.whole('quorum', 1, Math.max(1, witnesses.length)) ?? 1;
  if (every !== '0') return { everyMs: parseDuration(every, '--checkpoint-every'), witnesses, quorum };
  if (witnesses.length === 0) return undefined;
  throw new CommandError(
    ExitCode.Usage,
    '--witness is of checkpoints, and --checkpoint-every 0 asks for none',
  );
}

/** An agent that cannot be collected from at all, or not be stored, is a failure; a fault of any log counts more. */
function exitCodeOf(collected: readonly Collected[]): number {
  const states = collected.map(({ log }) => log.state);
  if (states.some((state) => !['verified', 'none', 'not-served'].includes(state))) return ExitCode.Mismatch;
  for (const { name, unusable } of collected)
    if (unusable !== undefined)
      throw new CommandError(ExitCode.CannotApply, `nothing was collected of ${name}: ${unusable.message}`, {
        help: 'help' in unusable ? [String(unusable.help)] : [],
        cause: unusable,
      });
  const notServed = collected.filter(({ log }) => log.state === 'not-served').map(({ name }) => name);
  if (notServed.length === 0) return ExitCode.Success;
  throw new CommandError(
    ExitCode.Failed,
    `${notServed.join(', ')} ${notServed.length === 1 ? 'does' : 'do'} not serve WatchAudit on this listener`,
    { help: ['name it in management of the listener'] },
  );
}

async function commandErrorOf(error: unknown): Promise<unknown> {
  const { BusError, StoreError } = await import('@kata-agent/realm');
  if (error instanceof StoreError)
    return new CommandError(ExitCode.CannotApply, error.message, { help: [error.help], cause: error });
  if (error instanceof BusError)
    return new CommandError(ExitCode.CannotApply, error.message, { help: error.help, cause: error });
  return error;
}

async function untilStopped<T>({ io }: Invocation, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  const stop = (): void => over.abort();
  io.signals.on('SIGTERM', stop);
  io.signals.on('SIGINT', stop);
  try {
    return await work(over.signal);
  } finally {
    io.signals.off('SIGTERM', stop);
    io.signals.off('SIGINT', stop);
  }
}

/** Logs the events of a collector about an agent. Messages that begin with `ALERT:` are for a person (docs/collecting.md). */
function writeEvent(log: RealmLog, agent: string, event: CollectorEvent): void {
  switch (event.kind) {
    case 'connected':
      return log('info', 'connected', { agent, from: event.from });
    case 'disconnected':
      return log('warn', 'not connected', { agent, error: event.why, retryMs: event.retryMs });
    case 'fault': {
      const { kind, sequence, what } = event.fault;
      return log('error', 'ALERT: the log has a fault', { agent, kind, sequence, what, ...omittedOf(event) });
    }
    case 'boot': {
      const { sequence } = event;
      return log('error', 'ALERT: the agent has started again', { agent, sequence, ...omittedOf(event) });
    }
    case 'full':
      return log('error', 'ALERT: no more of the log is stored: the agent has used its share', {
        agent,
        bytes: event.maxBytes,
      });
    case 'silent':
      return log('error', 'ALERT: no record has arrived', { agent, ms: event.ms });
    case 'heard':
      return log('info', 'records arrive again', { agent });
    case 'checkpoint': {
      const { origin, size, last, trust, cosigned, problem } = event.agreed;
      const of = {
        agent,
        origin,
        size,
        last,
        worth: trustText(trust),
        cosigned: cosigned === 0 ? undefined : cosigned,
      };
      return problem === undefined
        ? log('info', 'a checkpoint agrees', of)
        : log('error', 'ALERT: a checkpoint is not cosigned as demanded', { ...of, what: problem });
    }
    case 'not-stored':
      return log('error', 'records cannot be stored, and will be requested again', {
        agent,
        error: event.why,
      });
  }
}

function omittedOf({ omitted }: { readonly omitted: number }): { readonly omitted?: number } {
  return omitted === 0 ? {} : { omitted };
}

/** Logs the events of a sink. */
function writeSinkEvent(log: RealmLog, event: SinkEvent): void {
  switch (event.kind) {
    case 'not-stored':
      return log('error', 'records cannot be stored, and will be requested again', { error: event.why });
    case 'rejected': {
      const { agent, count, why, path } = event;
      return log('error', 'ALERT: the receiver has rejected records', { agent, count, error: why, path });
    }
    case 'repeated':
      return log('info', 'the last records are sent again', { agent: event.agent, count: event.count });
  }
}
