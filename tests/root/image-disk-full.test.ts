import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Authority } from '../harness/authority.js';
import { HostileRegistry } from '../harness/hostile-registry.js';
import { imageOf, layerOf } from '../harness/oci-image.js';

const skip = process.getuid?.() === 0 ? false : 'needs root';
const run = promisify(execFile);
const program = fileURLToPath(new URL('../harness/pull-process.js', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'kata-disk-full-'));
after(() => rmSync(directory, { recursive: true }));

it('a pull into a full file system fails, and leaves no part of a blob', { skip }, async () => {
  const authority = new Authority('test CA');
  const registry = await HostileRegistry.start(authority.server(['localhost']));
  try {
    registry.putImage(imageOf({ layers: [layerOf('a', randomBytes(300_000)), layerOf('b', 'small')] }), 'x');
    writeFileSync(join(directory, 'ca.pem'), authority.pem);
    mkdirSync(join(directory, 'blobs'));
    const pull = async (
      size: string,
    ): Promise<{ readonly code: string; readonly left: readonly string[] }> => {
      const script = `mount -t tmpfs -o size=${size} tmpfs "$4" && exec "$0" "$1" "$2" "$3" "$4"`;
      const { stdout } = await run('unshare', [
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-c',
        script,
        process.execPath,
        program,
        `localhost:${registry.port}/a:x`,
        join(directory, 'ca.pem'),
        join(directory, 'blobs'),
      ]);
      return JSON.parse(stdout) as Awaited<ReturnType<typeof pull>>;
    };
    const full = await pull('128k');
    assert.equal(full.code, 'disk-full');
    assert.deepEqual(
      full.left.filter((name) => name.endsWith('.part')),
      [],
    );
    const { code, left } = await pull('4m');
    assert.equal(code, 'pulled');
    assert.equal(left.length, 3);
  } finally {
    await registry.stop();
  }
});
