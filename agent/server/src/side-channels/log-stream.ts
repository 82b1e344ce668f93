import type { Writable } from 'node:stream';

/** The bytes kept for late readers: about a thousand lines. */
const keptBytes = 256 * 1024;

/** The bytes queued for a slow reader. */
const waitingBytes = 1024 * 1024;

interface Reader {
  readonly stream: Writable;
  dropped: number;
}

/**
 * A copy of the agent log for each reader (the setting `log_vport`): the latest lines, then new ones. One JSON object
 * per line, all values strings, as Kata's log parser expects. A reader that does not read loses lines, and gets their
 * number.
 */
export class LogStream {
  readonly #readers: Set<Reader> = new Set();
  readonly #kept: string[] = [];
  #keptBytes = 0;

  /** Adds one line, with its line feed. */
  write(line: string): void {
    this.#kept.push(line);
    this.#keptBytes += line.length;
    while (this.#keptBytes > keptBytes) this.#keptBytes -= (this.#kept.shift() ?? '').length;
    for (const reader of this.#readers) send(reader, line);
  }

  readonly accept = (stream: Writable): void => {
    const reader: Reader = { stream, dropped: 0 };
    this.#readers.add(reader);
    stream.on('close', () => this.#readers.delete(reader));
    stream.on('error', () => this.#readers.delete(reader));
    for (const line of this.#kept) send(reader, line);
  };

  close(): void {
    for (const { stream } of this.#readers) stream.end();
    this.#readers.clear();
  }
}

function send(reader: Reader, line: string): void {
  const { stream } = reader;
  if (stream.writableLength > waitingBytes) {
    reader.dropped += 1;
    return;
  }
  if (reader.dropped > 0) stream.write(lossLine(reader.dropped));
  reader.dropped = 0;
  stream.write(line);
}

function lossLine(dropped: number): string {
  const line = {
    level: 'WARN',
    ts: new Date().toISOString(),
    name: 'kata-agent',
    source: 'agent',
    subsystem: 'log-stream',
    pid: String(process.pid),
    dropped: String(dropped),
    msg: 'lines were dropped, since they were not read',
  };
  return `${JSON.stringify(line)}\n`;
}
