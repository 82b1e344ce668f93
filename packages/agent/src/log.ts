/** What a message is about, beside its text; every value reaches the log as text. */
type LogExtras = Readonly<Record<string, string | number | boolean | undefined>>;

/** Severity, from the most talkative. Kata's names for them are in `wireLevels`. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export type Log = (level: LogLevel, message: string, extras?: LogExtras) => void;

/** How Kata's log parser spells the levels (docs/kata-facts.md, "Metrics and log"); in the order of severity. */
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
 * The operational log: one JSON object a line, all values text, since Kata's log parser decodes a map of strings.
 * It is not the audit log: it may be lost, and nobody verifies it.
 */
export function createLog(options: {
  /** Messages below it are not written. */
  readonly level: LogLevel;
  readonly version: string;
  /** Takes one line, its end included. */
  readonly write: (line: string) => void;
}): Log {
  const least = severities.indexOf(options.level);
  const base = {
    name: 'kata-agent',
    source: 'agent',
    subsystem: 'root',
    version: options.version,
    pid: String(process.pid),
  };
  return (level, message, extras = {}) => {
    if (severities.indexOf(level) < least) return;
    const line: Record<string, string> = {
      level: wireLevels[level],
      ts: new Date().toISOString(),
      ...base,
    };
    for (const [key, value] of Object.entries(extras)) if (value !== undefined) line[key] = String(value);
    options.write(`${JSON.stringify({ ...line, msg: message })}\n`);
  };
}

/** The level of a configuration's word: the highest is `fatal` here. */
export function logLevel(word: LogLevel | 'critical'): LogLevel {
  return word === 'critical' ? 'fatal' : word;
}
