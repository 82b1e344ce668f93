import { isIPv6 } from 'node:net';
import { size } from '@kata-agent/config/entries';
import type { BusOptions, RealmOptions } from '@kata-agent/realm';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  parseDuration,
  version,
} from '@kata-agent/cli';

const maxTcpPort = 0xffff;

export const serve: CommandDefinition = {
  path: 'serve',
  summary: 'serve guests that dial out, and their operators',
  details: [
    'Runs the server that https:// listeners of guests dial, until SIGTERM. Accepts guests by the authorization file, collects and verifies their audit logs in --store, and lets operators use guests. docs/realm.md describes the files.',
    'SIGHUP reads the authorization file, certificates and CRL again; if one is not valid, nothing changes. SIGTERM drains: no new operators, --drain for those that are connected, then guests are closed and the store is flushed. A second SIGTERM ends at once.',
    'Each guest is asked for evidence before anything else, and is refused unless the values of --reference verify it. With --allow-unattested guests without are accepted too: then what a guest says of its configuration is unverified, and the guest is marked everywhere. One of the two options is needed.',
  ],
  options: [
    { flags: '--guests <host:port>', description: 'the address that guests dial' },
    { flags: '--operators <host:port>', description: 'the address of operators' },
    { flags: '--cert <file>', description: 'the certificate of both, and its chain, in PEM' },
    { flags: '--key <file>', description: 'its private key, in PEM' },
    { flags: '--operator-ca <file>', description: 'the CAs of operators’ certificates, in PEM' },
    { flags: '--operator-crl <file>', description: 'their revocation lists, in PEM; each CA needs one' },
    { flags: '--authorization <file>', description: 'the guests and operators, in TOML' },
    {
      flags: '--store <dir>',
      description: 'the directory of audit logs and revocations; one realm at a time',
    },
    {
      flags: '--bus <servers>',
      description:
        'several replicas of one realm: nats://HOST:PORT[,HOST:PORT], of a loopback address, or tls://…; they store logs and revocations there',
    },
    { flags: '--bus-ca <file>', description: 'the CAs of the servers of --bus, in PEM' },
    { flags: '--bus-cert <file>', description: 'a client certificate for the servers of --bus, in PEM' },
    { flags: '--bus-key <file>', description: 'its private key, in PEM' },
    { flags: '--bus-creds <file>', description: 'credentials for --bus: a .creds file' },
    { flags: '--bus-nkey <file>', description: 'credentials for --bus: the seed of an nkey' },
    {
      flags: '--witness-key <file>',
      description:
        'cosign checkpoints of the guests’ logs with this key, of kata-realm witness-key; for one process, not with --bus',
    },
    {
      flags: '--reference <file>',
      description: 'the reference values for the evidence of guests: values.json, docs/evidence.md',
    },
    {
      flags: '--collateral <dir>',
      description:
        'for evidence of SNP and TDX: certificates and TCB data of the vendors, as of evidence verify',
    },
    {
      flags: '--allow-unattested',
      description: 'accept guests without verified evidence too, and mark them everywhere',
    },
    { flags: '--metrics <host:port>', description: 'plain HTTP: GET /metrics, /healthz and /readyz' },
    {
      flags: '--max-log-per-guest <size>',
      description: 'the maximum of stored audit log of each guest; nothing beyond it is collected',
      fallback: '256MiB',
    },
    {
      flags: '--store-max <size>',
      description:
        'the maximum of all logs in --store; beyond it no record is stored or removed, and /readyz answers 503',
      fallback: '64GiB',
    },
    {
      flags: '--drain <duration>',
      description: 'how long connections of operators stay open after SIGTERM',
      fallback: '30s',
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
      line: 'kata-realm serve --guests 0.0.0.0:8443 --operators 0.0.0.0:8444 --cert realm.pem --key realm.key --operator-ca ops-ca.pem --authorization realm.toml --store /var/lib/kata-realm --reference values.json --metrics 127.0.0.1:9090',
      description: 'Runs a realm that accepts attested guests only.',
    },
  ],
  run: async (invocation) => {
    const required = (name: string): string => requiredOption(invocation, name);
    const { options, io } = invocation;
    const guests = parseHostPort(required('guests'), '--guests');
    const operators = parseHostPort(required('operators'), '--operators');
    const metrics = options.text('metrics');
    const files = {
      cert: required('cert'),
      key: required('key'),
      operatorCa: required('operatorCa'),
      operatorCrl: options.text('operatorCrl'),
      authorization: required('authorization'),
      witnessKey: options.text('witnessKey'),
      reference: options.text('reference'),
      collateral: options.text('collateral'),
    };
    const store = required('store');
    const allowUnattested = options.flag('allowUnattested');
    if (files.reference === undefined && files.collateral !== undefined)
      throw new CommandError(
        ExitCode.Usage,
        '--collateral needs --reference: it is for the evidence of guests',
      );
    if (!allowUnattested && files.reference === undefined)
      throw new CommandError(
        ExitCode.Usage,
        'no guest would be accepted: without --reference none can be attested',
        {
          help: [
            'to demand evidence, add --reference values.json',
            'to accept guests whose configurations are unverified, add --allow-unattested',
            'such guests are marked as unattested everywhere; [[guest]] entries with keys bind them to a key',
          ],
        },
      );
    const maxLogPerGuest = sizeOf('--max-log-per-guest', options.text('maxLogPerGuest'));
    const storeMax = sizeOf('--store-max', options.text('storeMax'));
    const drainMs = parseDuration(options.text('drain') ?? '', '--drain');
    const { createRealmLog, parseBusServers } = await import('@kata-agent/realm');
    const bus = busOptions(invocation, parseBusServers);
    if (bus !== undefined && files.witnessKey !== undefined)
      throw new CommandError(ExitCode.Usage, '--witness-key and --bus exclude each other', {
        help: [
          'replicas could cosign two trees of one log: JetStream acknowledges what it has not written to a disk yet',
          'serve without --bus, or name other witnesses in [[audit.witness]] of the guests',
        ],
      });
    const { limitUnacknowledged, loadSyscalls } = await import('@kata-agent/linux');
    const log = createRealmLog({
      source: 'realm',
      format: options.text('logFormat') === 'text' ? 'text' : 'json',
      version,
      write: (line) => void io.stderr.write(line),
    });
    const syscalls = loadSyscalls();
    await serveUntilStopped(invocation, {
      guests,
      operators,
      metrics: metrics === undefined ? undefined : parseHostPort(metrics, '--metrics'),
      files,
      allowUnattested,
      store,
      maxLogPerGuest,
      storeMax,
      drainMs,
      version,
      log,
      bus,
      tryLock: (descriptor) => syscalls.tryLock(descriptor),
      limitUnacknowledged: (socket, limitMs) => limitUnacknowledged(syscalls, socket, limitMs),
    });
    return ExitCode.Success;
  },
};

const sizes = size({ min: 1024 * 1024, max: 1024 ** 4 });

function sizeOf(option: '--max-log-per-guest' | '--store-max', text: string = ''): number {
  const reading = sizes.fromText(text);
  if (reading.ok) return reading.value;
  throw new CommandError(ExitCode.Usage, `${option} '${text}': must be ${reading.expected}`);
}

function busOptions(
  { options }: Invocation,
  parse: (text: string) => Pick<BusOptions, 'servers' | 'tls'>,
): BusOptions | undefined {
  const text = options.text('bus');
  const files = {
    ca: options.text('busCa'),
    cert: options.text('busCert'),
    key: options.text('busKey'),
    creds: options.text('busCreds'),
    nkey: options.text('busNkey'),
  };
  const given = Object.entries(files).filter(([, value]) => value !== undefined);
  if (text === undefined) {
    if (given.length === 0) return undefined;
    throw new CommandError(ExitCode.Usage, `--bus-${given[0]?.[0] ?? ''} without --bus`, {
      help: ['add --bus nats://127.0.0.1:4222 or --bus tls://HOST:PORT'],
    });
  }
  if (files.creds !== undefined && files.nkey !== undefined)
    throw new CommandError(ExitCode.Usage, '--bus-creds and --bus-nkey exclude each other', {
      help: ['pass one of the two'],
    });
  if ((files.cert === undefined) !== (files.key === undefined))
    throw new CommandError(ExitCode.Usage, '--bus-cert and --bus-key belong together', {
      help: ['pass both: a client certificate for NATS, and its private key'],
    });
  try {
    const servers = parse(text);
    const ofTls = (['ca', 'cert'] as const).find((name) => files[name] !== undefined);
    if (ofTls !== undefined && !servers.tls)
      throw new Error(`--bus-${ofTls} is for tls://, and these servers have no TLS`);
    return { ...servers, ...files };
  } catch (error) {
    throw new CommandError(ExitCode.Usage, `--bus '${text}': ${(error as Error).message}`, {
      help: [
        '--bus takes nats://HOST:PORT[,HOST:PORT] of loopback addresses, or tls://HOST:PORT[,HOST:PORT]',
      ],
    });
  }
}

function requiredOption({ options }: Invocation, name: string): string {
  const value = options.text(name);
  if (value !== undefined && value !== '') return value;
  const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new CommandError(ExitCode.Usage, `${flag} is missing`, {
    help: [
      'kata-realm serve needs --guests, --operators, --cert, --key, --operator-ca, --authorization and --store',
    ],
  });
}

/** Serves until SIGTERM or SIGINT has drained the realm. */
async function serveUntilStopped({ io }: Invocation, options: RealmOptions): Promise<void> {
  const { startRealm } = await import('@kata-agent/realm');
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  let asked = false;
  const onStop = (): void => {
    // A second signal means: do not wait. Nothing that is stored depends on an orderly end.
    if (asked) process.exit(ExitCode.Failed);
    asked = true;
    stop();
  };
  let reload: () => void = () => undefined;
  const onHangup = (): void => reload();
  io.signals.on('SIGTERM', onStop);
  io.signals.on('SIGINT', onStop);
  io.signals.on('SIGHUP', onHangup);
  try {
    const realm = await startRealm(options).catch(async (error: unknown) => {
      throw await commandErrorOf(error);
    });
    reload = () => void realm.reload();
    await stopped;
    await realm.close();
  } finally {
    io.signals.off('SIGTERM', onStop);
    io.signals.off('SIGINT', onStop);
    io.signals.off('SIGHUP', onHangup);
  }
}

async function commandErrorOf(error: unknown): Promise<unknown> {
  const { BusError, ListenError, RealmFileError, StoreError } = await import('@kata-agent/realm');
  if (error instanceof RealmFileError)
    return new CommandError(
      error.kind === 'invalid' ? ExitCode.Failed : ExitCode.CannotApply,
      error.message,
      { help: error.help, diagnostics: error.diagnostics, cause: error },
    );
  if (error instanceof StoreError)
    return new CommandError(ExitCode.CannotApply, error.message, { help: [error.help], cause: error });
  if (error instanceof BusError)
    return new CommandError(ExitCode.CannotApply, error.message, { help: error.help, cause: error });
  if (error instanceof ListenError)
    return new CommandError(ExitCode.CannotApply, error.message, {
      help: ['choose an address of this machine that is free; ports below 1024 need CAP_NET_BIND_SERVICE'],
      cause: error,
    });
  const { AuditUnavailable } = await import('@kata-agent/audit');
  if (error instanceof AuditUnavailable)
    return new CommandError(ExitCode.CannotApply, error.message, { cause: error });
  return error;
}

/** A TCP address; port 0 is any free one. */
interface HostPort {
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
}

/** Parses HOST:PORT of an option. Throws a CommandError (wrong use). */
function parseHostPort(text: string, option: string): HostPort {
  const wrong = (why: string): CommandError =>
    new CommandError(ExitCode.Usage, `${option} '${text}': ${why}`, {
      help: ['write HOST:PORT, such as 0.0.0.0:8443; an IPv6 address is in brackets: [::]:8443'],
    });
  const [, address, name, digits = ''] = /^(?:\[([^\]]*)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = address ?? name;
  if (host === undefined) throw wrong('it is not of the form HOST:PORT');
  const valid = address === undefined ? /^[A-Za-z0-9.-]+$/.test(host) : isIPv6(host);
  if (!valid) throw wrong(`'${host}' is neither a host name nor an IP address`);
  if (Number(digits) > maxTcpPort) throw wrong(`the port must be a number up to ${maxTcpPort}`);
  return { host, port: Number(digits) };
}
