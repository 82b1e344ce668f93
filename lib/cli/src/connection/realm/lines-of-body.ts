import type { IncomingMessage } from 'node:http';

/** Longer lines are not records. */
const maxLineBytes = 4 * 1024 * 1024;

/** Splits a body into its lines, in groups as they arrive. */
export async function* linesOfBody(message: IncomingMessage): AsyncGenerator<readonly Uint8Array[], void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const part of message as AsyncIterable<Buffer>) {
    const lines: Buffer[] = [];
    let bytes: Buffer = rest.length === 0 ? part : Buffer.concat([rest, part]);
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10)) {
      lines.push(bytes.subarray(0, end));
      bytes = bytes.subarray(end + 1);
    }
    rest = bytes;
    if (rest.length > maxLineBytes) throw new Error(`a line has more than ${maxLineBytes} bytes`);
    if (lines.length > 0) yield lines;
  }
  if (rest.length > 0) throw new Error('the last line is incomplete');
}
