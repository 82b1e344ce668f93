import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Log, LogLevel } from '../log.js';

/** Longer records of a component's output are cut. */
const maxRecord = 4_096;
/** How long a record waits for lines that continue it, in ms. */
const quietMs = 100;
/** Between the lines of a record. */
const separator = ' | ';

/** The beginning of a record of Rust's `tracing` and `env_logger`: time in brackets or not, level. */
const head = /^\[?\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?\s+(TRACE|DEBUG|INFO|WARN|ERROR)\b\s*(.*)$/;
/** The last words of a Rust program. */
const fault = /^(?:Error:|thread '.*' .*panicked at)/;

const levels: Readonly<Record<string, LogLevel>> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

/** A record of a component's output: of one line or, as a banner or a chain of causes, of several. */
interface ComponentRecord {
  readonly level: LogLevel;
  readonly lines: string[];
  /** Of all lines, as they are written. */
  length: number;
}

/** Removes escape sequences of terminals (ECMA-48: CSI, OSC and two-character ones) and other control characters. */
export function withoutEscapes(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
      .replace(
        /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_a-z])|\x9b[0-?]*[ -/]*[@-~]/g,
        '',
      )
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
      .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '')
  );
}

/** Collects lines into records, each at its own level. */
export class ComponentRecords {
  readonly #write: (level: LogLevel, text: string) => void;
  #open: ComponentRecord | undefined;

  constructor(write: (level: LogLevel, text: string) => void) {
    this.#write = write;
  }

  /** A line without a time continues the record before it. */
  add(line: string): void {
    const plain = withoutEscapes(line).trimEnd();
    const [, word, text = ''] = head.exec(plain) ?? [];
    if (word !== undefined) this.#begin(levels[word] ?? 'info', text.replace(/^\s*(\S+\])\s*/, '$1 '));
    else if (fault.test(plain)) this.#begin('error', plain);
    else if (this.#open === undefined) this.#begin('info', plain);
    else if (this.#open.length + separator.length + plain.length <= maxRecord) {
      this.#open.lines.push(plain);
      this.#open.length += separator.length + plain.length;
    } else {
      // A component that is never quiet would fill the memory.
      this.#begin(this.#open.level, plain);
    }
  }

  /** Writes the open record. */
  flush(): void {
    const record = this.#open;
    this.#open = undefined;
    if (record === undefined) return;
    // A banner is drawn with lines that have no word.
    const text = record.lines
      .map((line) => line.trim().replace(/\s+/g, ' '))
      .filter((line) => /[\p{L}\d]{3}/u.test(line))
      .join(separator);
    if (text !== '') this.#write(record.level, text.slice(0, maxRecord));
  }

  #begin(level: LogLevel, line: string): void {
    this.flush();
    this.#open = { level, lines: [line], length: line.length };
  }
}

/** Writes the output of a component to the agent log, each record at its own level and without escapes of terminals. */
export function logLines(stream: Readable, component: string, log: Log): void {
  const records = new ComponentRecords((level, text) => log(level, text, { component }));
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    records.flush();
  };
  stream.on('error', () => stream.destroy());
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
    .on('line', (line) => {
      records.add(line.slice(0, maxRecord));
      clearTimeout(timer);
      timer = setTimeout(flush, quietMs).unref();
    })
    .on('close', flush);
}
