import { TokenBucket } from '@kata-agent/base';

/** Extra fields of a message; every value is written as a string. */
type LogExtras = Readonly<Record<string, string | number | boolean | undefined>>;

type LogLevel = 'info' | 'warn' | 'error';

/** The log of a realm. It is not its audit log: lines can be lost, and they are not verified. */
export type RealmLog = (level: LogLevel, message: string, extras?: LogExtras) => void;

/** The names of levels in the agent's log. */
const wireLevels: Readonly<Record<LogLevel, string>> = { info: 'INFO', warn: 'WARN', error: 'ERRO' };

export interface RealmLogOptions {
  /** What of the program writes it. */
  readonly source: 'realm' | 'collector';
  readonly format: 'json' | 'text';
  readonly version: string;
  /** Writes one line, with its line feed. */
  readonly write: (line: string) => void;
}

/** The form of the agent's log: one JSON object per line, all values strings. As text, one line per message. */
export function createRealmLog({ source, format, version, write }: RealmLogOptions): RealmLog {
  const base = {
    name: 'kata-agent-ctl',
    source,
    subsystem: 'root',
    version,
    pid: String(process.pid),
  };
  return (level, message, extras = {}) => {
    const ts = new Date().toISOString();
    const given = Object.entries(extras).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, String(value)] as const],
    );
    if (format === 'json') {
      const line = { level: wireLevels[level], ts, ...base, ...Object.fromEntries(given), msg: message };
      write(`${JSON.stringify(line)}\n`);
    } else {
      const fields = given.map(([key, value]) => ` ${key}=${JSON.stringify(value)}`).join('');
      write(`${ts} ${wireLevels[level]} ${message}${fields}\n`);
    }
  };
}

/**
 * Returns a function that reports whether a message may be written: `burst` at once, then `perSecond`. It returns how many
 * were left out before this one, or undefined if this one is left out too.
 */
export function rationed(
  burst: number,
  perSecond: number,
  now: () => number = () => performance.now(),
): () => number | undefined {
  const bucket = new TokenBucket({ burst, perSecond }, now());
  let omitted = 0;
  return () => {
    if (!bucket.take(now())) {
      omitted += 1;
      return undefined;
    }
    const before = omitted;
    omitted = 0;
    return before;
  };
}
