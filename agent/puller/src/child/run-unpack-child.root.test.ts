import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import { buildEntry, buildTar, type BuiltLayer, layerOf } from '../testing/tar-builder.js';
import { confinementMounts, whyNotRoot, Workplace } from '../testing/unpacking.js';
import { defaultLimits, type UnpackLimits } from '../unpack/budget.js';
import type { UnpackProgress, UnpackResult } from './unpack-protocol.js';
import { runUnpackChild, type UnpackChildSettings } from './run-unpack-child.js';

const MiB = 1024 * 1024;

/** Unpacks layers into the workplace, in a process. */
function unpack(
  place: Workplace,
  layers: readonly BuiltLayer[],
  settings: UnpackChildSettings = {},
  limits: Partial<UnpackLimits> = {},
): Promise<UnpackResult> {
  const blobs = join(place.path, 'blobs');
  mkdirSync(blobs, { recursive: true });
  const files = layers.map(({ blob, ...layer }, index) => {
    writeFileSync(join(blobs, `${index}`), blob);
    return { ...layer, file: `${index}` };
  });
  return runUnpackChild(
    { blobs, target: place.root, layers: files, limits: { ...defaultLimits, ...limits } },
    settings,
  );
}

/** A gzip layer with one file of zeros. */
async function bomb(size: number): Promise<Buffer> {
  const gzip = createGzip({ level: 1 });
  gzip.write(buildEntry({ name: 'zeros', size }));
  void (async () => {
    const zeros = Buffer.alloc(MiB);
    for (let done = 0; done < size; done += zeros.length)
      if (!gzip.write(zeros)) await new Promise((resolve) => gzip.once('drain', resolve));
    gzip.end(Buffer.alloc(1024));
  })();
  const parts: Buffer[] = [];
  for await (const part of gzip) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Enough entries that the process takes a while. */
function manyFiles(count: number): readonly BuiltLayer[] {
  const entries = Array.from({ length: count }, (_, index) => ({
    name: `d${index % 50}/f${index}`,
    content: Buffer.alloc(2000, index),
    uid: index,
  }));
  return [
    layerOf(buildTar(entries.slice(0, count / 2)), 'gzip'),
    layerOf(buildTar(entries.slice(count / 2)), 'gzip'),
  ];
}

test('a process unpacks layers, reports progress and a result', { skip: whyNotRoot }, async (context) => {
  const place = new Workplace(context);
  const descriptors = readdirSync('/proc/self/fd').length;
  const mounts = confinementMounts();
  const progress: UnpackProgress[] = [];
  const result = await unpack(place, manyFiles(4000), { onProgress: (each) => progress.push(each) });
  assert.equal(result.files, 4000);
  assert.equal(result.entries, 4050);
  assert.ok(result.bytes > 8_000_000);
  assert.ok(result.peakMemory < 150 * MiB, `${result.peakMemory} bytes`);
  assert.ok(progress.length > 0);
  assert.ok(progress.every((each, index) => index === 0 || each.bytes >= (progress[index - 1]?.bytes ?? 0)));
  assert.equal(statSync(join(place.root, 'd7/f3007')).uid, 3007);
  assert.deepEqual(confinementMounts(), mounts);
  assert.ok(readdirSync('/proc/self/fd').length <= descriptors);
});

test('a layer is unpacked while the next one is fetched, and not before it is complete', {
  skip: whyNotRoot,
}, async (context) => {
  const place = new Workplace(context);
  const blobs = join(place.path, 'blobs');
  mkdirSync(blobs);
  const layers = ['a', 'b'].map((name) => ({ ...layerOf(buildTar([{ name }])), file: name }));
  const store = (index: number): void =>
    layers
      .filter((_, each) => each === index)
      .forEach(({ file, blob }) => writeFileSync(join(blobs, file), blob));
  const asked: string[] = [];
  const fetched = async (file: string): Promise<void> => {
    asked.push(file);
    if (file === 'b') await eventually(() => readdirSync(place.root).includes('a'));
    store(asked.length - 1);
  };
  const described = layers.map(({ file, diffId, mediaType }) => ({ file, diffId, mediaType }));
  const result = await runUnpackChild(
    { blobs, target: place.root, layers: Promise.resolve(described), limits: defaultLimits },
    { fetched },
  );
  assert.equal(result.entries, 2);
  assert.deepEqual(asked, ['a', 'b']);
  assert.deepEqual(readdirSync(place.root).sort(), ['a', 'b']);
});

test('a process without work is alive, until its image fails', { skip: whyNotRoot }, async (context) => {
  const place = new Workplace(context);
  const ended = new AbortController();
  const layers = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('the image was refused')), 4_000);
  });
  await assert.rejects(
    runUnpackChild(
      { blobs: place.path, target: place.root, layers, limits: defaultLimits },
      { signal: ended.signal, silenceMilliseconds: 3_000 },
    ),
    { message: 'the image was refused' },
  );
});

test('the error of a layer comes back with its code and number', { skip: whyNotRoot }, async (context) => {
  const place = new Workplace(context);
  const good = layerOf(buildTar([{ name: 'f' }]));
  await assert.rejects(unpack(place, [good, layerOf(buildTar([{ name: '../f' }]))]), {
    name: 'LayerError',
    code: 'name',
    message: 'layer 2: "../f" contains ".."\nhelp: do not use this image',
  });
  await assert.rejects(unpack(place, [{ ...good, diffId: 'sha256:0' }]), { code: 'diff-id' });
  await assert.rejects(
    runUnpackChild({
      blobs: place.path,
      target: place.root,
      layers: [{ ...good, file: '../x' }],
      limits: defaultLimits,
    }),
    { code: 'child', message: '"../x" is no plain file name' },
  );
});

test('1 GB of zeros is stopped at each limit, with bounded memory', { skip: whyNotRoot }, async (context) => {
  const place = new Workplace(context);
  const blob = await bomb(1024 * MiB);
  assert.ok(blob.length < 10 * MiB);
  const layer = { mediaType: layerOf(Buffer.alloc(0), 'gzip').mediaType, diffId: 'sha256:0', blob };
  for (const limits of [{ ratio: 50 }, { bytes: 20 * MiB }, { milliseconds: 200 }]) {
    place.empty();
    await assert.rejects(unpack(place, [layer], {}, limits), { code: 'limit' });
    const written = readdirSync(place.root).includes('zeros') ? statSync(join(place.root, 'zeros')).size : 0;
    assert.ok(written < 600 * MiB, `${written} bytes with ${JSON.stringify(limits)}`);
  }
});

test('a process that is ended at any point leaves nothing but the target', {
  skip: whyNotRoot,
}, async (context) => {
  const place = new Workplace(context);
  const layers = manyFiles(6000);
  const before = confinementMounts();
  const started = performance.now();
  await unpack(place, layers);
  const whole = performance.now() - started;
  let cancelled = 0;
  for (let point = 0; point < 10; point++) {
    place.empty();
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(new Error('cancelled')), (whole * point) / 11);
    // On a busy machine a late point may come too late.
    const outcome = await unpack(place, layers, { signal: controller.signal }).then(
      () => 'unpacked',
      (error: unknown) => String(error),
    );
    assert.match(outcome, /^(Error: cancelled|unpacked)$/);
    if (outcome !== 'unpacked') cancelled += 1;
    clearTimeout(timer);
    assert.deepEqual(confinementMounts(), before);
    assert.deepEqual(readdirSync(place.path).sort(), ['blobs', 'canary', 'root']);
    assert.deepEqual(childrenOf(process.pid), []);
  }
  assert.ok(cancelled >= 5, `${cancelled} of 10`);
  // The caller removes the target, and the next attempt succeeds.
  place.empty();
  assert.equal((await unpack(place, layers)).files, 6000);
});

test('too little memory is an error', { skip: whyNotRoot }, async (context) => {
  const place = new Workplace(context);
  const settings = { memory: 16 * MiB, silenceMilliseconds: 3000 };
  await assert.rejects(unpack(place, manyFiles(100), settings), { name: 'LayerError', code: 'child' });
});

async function eventually(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !condition(); )
    if (performance.now() > end) throw new Error('not within 20 s');
    else await sleep(10);
}

function childrenOf(pid: number): readonly string[] {
  return readFileSync(`/proc/self/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((each) => each !== '');
}
