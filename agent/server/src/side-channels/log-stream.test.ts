import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { LogStream } from './log-stream.js';

/** A reader that consumes data only on request. */
class SlowReader extends Writable {
  text = '';
  #go: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    this.#go = done;
  }

  async takeAll(): Promise<void> {
    while (this.writableLength > 0) {
      this.#go?.();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  }
}

describe('a log stream', () => {
  it('begins with the latest lines', async () => {
    const log = new LogStream();
    const line = `${'x'.repeat(1023)}\n`;
    for (let count = 0; count < 400; count += 1) log.write(line);
    log.write('last\n');
    const reader = new SlowReader();
    log.accept(reader);
    log.write('new\n');
    await reader.takeAll();
    assert.ok(reader.text.endsWith('x\nlast\nnew\n'));
    assert.ok(reader.text.length <= 256 * 1024 + 4, String(reader.text.length));
    assert.ok(reader.text.length > 250 * 1024);
  });

  it('drops whole lines for a reader that does not read, and reports how many', async () => {
    const log = new LogStream();
    const reader = new SlowReader();
    log.accept(reader);
    const line = `${'y'.repeat(64 * 1024 - 1)}\n`;
    for (let count = 0; count < 40; count += 1) log.write(line);
    await reader.takeAll();
    log.write('after\n');
    await reader.takeAll();
    const lines = reader.text.trimEnd().split('\n');
    assert.equal(lines.at(-1), 'after');
    const told = JSON.parse(lines.at(-2) ?? '') as Record<string, unknown>;
    assert.ok(Object.values(told).every((value) => typeof value === 'string'));
    assert.equal(Number(told['dropped']) + lines.length - 2, 40);
  });

  it('continues for other readers when one fails', async () => {
    const log = new LogStream();
    const [bad, good] = [new SlowReader(), new SlowReader()];
    log.accept(bad);
    log.accept(good);
    bad.destroy(new Error('gone'));
    log.write('line\n');
    await good.takeAll();
    assert.equal(good.text, 'line\n');
  });
});
