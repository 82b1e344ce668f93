import type { CollectorEvent, RealmLog } from '@kata-agent/realm';
import type { CommandDefinition, Invocation } from '../../cli/definition.js';
import { parseDuration } from '../../cli/duration.js';
import { CommandError } from '../../command-error.js';
import { formatAddress } from '../../connection/address.js';
import { dial } from '../../connection/dial.js';
import { tlsCredentials } from '../../connection/tls-credentials.js';
import { addressOf, timeoutOf } from '../../connection/with-agent.js';
import { ExitCode } from '../../exit-code.js';
import { version } from '../../cli/version.js';

/** Of all logs in the directory. */
const maxBytes = 64 * 1024 ** 3;

export const auditCollect: CommandDefinition = {
  path: 'audit collect',
  summary: 'copy the audit log of an agent to a directory, as it is written, and watch over it',
  details: [
    'Calls Management.WatchAudit until SIGTERM or SIGINT, and connects again whenever the connection ends. Each record is verified, and stored once and unchanged, whichever of the two ends and starts again: the last record that is stored decides where to go on. The logs are DIR/guests/ID/*.log; audit verify and audit show read them. One process uses a directory at a time.',
    'The log on standard error has an ALERT for missing records, a line that does not follow, another log at the same address (a second or cloned guest), a further start of the agent, and silence. The exit code is 4 if the log has such a fault, also from an earlier run.',
  ],
  options: [
    { flags: '--to <directory>', description: 'where to store the logs' },
    {
      flags: '--name <name>',
      description: 'names the agent in the directory, if its address can change (default: the address)',
    },
    {
      flags: '--silence <duration>',
      description: 'how long no record may come: three heartbeats of the agent',
      fallback: '180s',
    },
    {
      flags: '--log-format <format>',
      description: 'of the log on standard error',
      choices: ['json', 'text'],
      fallback: 'json',
    },
  ],
  examples: [
    {
      line: 'kata-agent-ctl audit collect -a unix:///run/agent.sock --to /var/lib/kata-audit',
      description: 'Collects the log until interrupted.',
    },
  ],
  connects: true,
  run: async (invocation) => {
    const { io, options } = invocation;
    const directory = options.text('to');
    if (directory === undefined)
      throw new CommandError(ExitCode.Usage, '--to is missing: the directory for the logs');
    if (options.text('attested') !== undefined)
      throw new CommandError(ExitCode.Usage, '--attested is not supported by audit collect', {
        help: ["pass --pin: the agent's key, as attest and evidence verify have it"],
      });
    const address = addressOf(invocation);
    const credentials = await tlsCredentials(address, options);
    const { collectLog, createRealmLog, StoreError } = await import('@kata-agent/realm');
    const { loadSyscalls } = await import('@kata-agent/linux');
    const log = createRealmLog({
      source: 'collector',
      format: options.text('logFormat') === 'text' ? 'text' : 'json',
      version,
      write: (line) => void io.stderr.write(line),
    });
    const syscalls = loadSyscalls();
    const name = options.text('name') ?? formatAddress(address);
    const { log: collected, path } = await untilStopped(invocation, (signal) =>
      collectLog({
        directory,
        tryLock: (descriptor) => syscalls.tryLock(descriptor),
        name,
        connect: () => dial(address, timeoutOf(invocation), credentials),
        maxBytes,
        silenceMs: parseDuration(options.text('silence') ?? '', '--silence'),
        onEvent: (event) => write(log, name, event),
        signal,
      }),
    ).catch((error: unknown) => {
      if (!(error instanceof StoreError)) throw error;
      throw new CommandError(ExitCode.CannotApply, error.message, { cause: error });
    });
    const { state, records, lastSequence } = collected;
    log('info', 'the collector ends', { agent: name, state, records, lastSequence, path });
    if (state === 'not-served')
      throw new CommandError(ExitCode.Failed, `${name} does not serve WatchAudit on this listener`, {
        help: ['name it in management of the listener'],
      });
    return state === 'verified' || state === 'none' ? ExitCode.Success : ExitCode.Mismatch;
  },
};

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

function write(log: RealmLog, agent: string, event: CollectorEvent): void {
  switch (event.kind) {
    case 'connected':
      return log('info', 'connected', { agent, from: event.from });
    case 'disconnected':
      return log('warn', 'not connected', { agent, error: event.why, retryMs: event.retryMs });
    case 'fault': {
      const { kind, sequence, what } = event.fault;
      return log('error', 'ALERT: the log has a fault', { agent, kind, sequence, what });
    }
    case 'boot':
      return log('error', 'ALERT: the agent has started again', { agent, sequence: event.sequence });
    case 'silent':
      return log('error', 'ALERT: no record has come', { agent, ms: event.ms });
    case 'heard':
      return log('info', 'records come again', { agent });
    case 'not-stored':
      return log('error', 'records cannot be stored, and will be asked for again', {
        agent,
        error: event.why,
      });
  }
}
