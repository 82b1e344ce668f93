/** Extra fields of a message; every value is written as a string. */
type LogExtras = Readonly<Record<string, string | number | boolean | undefined>>;

/** Severity, lowest first. Kata's names for them are in `wireLevels`. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export type Log = (level: LogLevel, message: string, extras?: LogExtras) => void;

/** The names of levels in Kata's log parser (docs/kata-facts.md, "Metrics and log"), lowest severity first. */
const wireLevels: Readonly<Record<LogLevel, string>> = {
  trace: 'TRCE',
  debug: 'DEBG',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERRO',
  fatal: 'CRIT',
};

const severities = Object.keys(wireLevels);

/**
 * The agent log: one JSON object per line, all values strings, since Kata's log parser decodes a map of strings. It is
 * not the audit log: lines can be lost, and they are not verified.
 */
export function createLog(options: {
  /** The lowest level that is written. */
  readonly level: LogLevel;
  readonly version: string;
  /** Writes one line, with its line feed. */
  readonly write: (line: string) => void;
}): Log {
  const min = severities.indexOf(options.level);
  const base = {
    name: 'kata-agent',
    source: 'agent',
    subsystem: 'root',
    version: options.version,
    pid: String(process.pid),
  };
  return (level, message, extras = {}) => {
    if (severities.indexOf(level) < min) return;
    const line: Record<string, string> = {
      level: wireLevels[level],
      ts: new Date().toISOString(),
      ...base,
    };
    for (const [key, value] of Object.entries(extras)) if (value !== undefined) line[key] = String(value);
    options.write(`${JSON.stringify({ ...line, msg: message })}\n`);
  };
}

/** Returns the level for a word of the configuration: the highest is `fatal` here. */
export function logLevel(word: LogLevel | 'critical'): LogLevel {
  return word === 'critical' ? 'fatal' : word;
}
