import { pino } from 'pino';
import type { DestinationStream } from 'pino';

/** What a message is about, beside its text; every value reaches the log as text. */
type LogExtras = Readonly<Record<string, string | number | boolean | undefined>>;

/** Severity, from the most talkative. Kata's names for them are in `wireLevels`. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export type Log = (level: LogLevel, message: string, extras?: LogExtras) => void;

/** How Kata's log parser spells the levels (kata-facts, "Metrics and log"). */
const wireLevels: Readonly<Record<LogLevel, string>> = {
  trace: 'TRCE',
  debug: 'DEBG',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERRO',
  fatal: 'CRIT',
};

/**
 * The operational log: one JSON object a line, all values text, since Kata's log parser decodes a map of strings.
 * It is not the audit log: it may be lost, and nobody verifies it.
 */
export function createLog(options: {
  readonly level: LogLevel;
  readonly version: string;
  readonly destination: DestinationStream;
}): Log {
  const logger = pino(
    {
      level: options.level,
      base: {
        name: 'kata-agent',
        source: 'agent',
        subsystem: 'root',
        version: options.version,
        pid: String(process.pid),
      },
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: wireLevels[label as LogLevel] }) },
    },
    options.destination,
  );
  return (level, message, extras = {}) => {
    const text = Object.entries(extras).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, String(value)]],
    );
    logger[level](Object.fromEntries(text), message);
  };
}

/** The level of a configuration's word: pino calls the highest one `fatal`. */
export function logLevel(word: LogLevel | 'critical'): LogLevel {
  return word === 'critical' ? 'fatal' : word;
}
