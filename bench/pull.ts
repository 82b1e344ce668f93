import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type * as Puller from '@kata-agent/puller';
import { buildSync } from 'esbuild';

import { bundledAgent } from './agent-program.js';
import { createAuthority } from './certificates.js';
import { tracked } from './children.js';
import { root } from './go-programs.js';
import { median } from './median.js';
import type { Row } from './row.js';

const layers = 6;
const filesPerLayer = 126;
/** 756 files of 8 to 357 kB: 138 MB. */
const fileSize = (index: number): number => 8_000 + ((index * 7919) % 350_000);

type Compression = 'gzip' | 'zstd';

/** One pull. */
interface Measurement {
  readonly milliseconds: number;
  /** Of all processes that were started for the pull. */
  readonly processorMilliseconds: number;
  /** The highest private memory of these processes together, and the largest file mapping of one of them. */
  readonly megabytes: number;
}

/** Where an image is, and where it goes. */
interface Pull {
  /** `127.0.0.1:PORT/image:TAG`. */
  readonly reference: string;
  readonly ca: string;
  readonly compression: Compression;
  /** A new directory in memory. */
  readonly directory: string;
}

/**
 * Measures a pull of 138 MB in 6 layers from docker-registry over TLS on loopback to a directory in memory: by the processes that the
 * agent starts, and by `skopeo copy` and `umoci raw unpack` (of zstd, which umoci 0.4.7 does not read, GNU tar). They alternate.
 */
export async function measurePull(quick: boolean): Promise<Row[]> {
  const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kata-bench-pull-'));
  const registry = await startRegistry(directory);
  try {
    const puller = await bundledPuller();
    const rows: Row[] = [];
    for (const compression of ['gzip', 'zstd'] as const) {
      const reference = `${registry.host}/image:${compression}`;
      pushImage(join(directory, `layout-${compression}`), { reference, ca: registry.ca, compression });
      const pull = { reference, ca: registry.ca, compression, directory: join(directory, 'pulled') };
      const ours: Measurement[] = [];
      const theirs: Measurement[] = [];
      for (let round = 0; round < (quick ? 3 : 9); round += 1) {
        ours.push(await measured(pull, (each) => pullByAgent(puller, each)));
        theirs.push(await measured(pull, pullByTools));
      }
      const name = compression === 'gzip' ? 'skopeo, umoci' : 'skopeo, tar';
      const row = (what: string, unit: string, key: keyof Measurement): Row => ({
        what: `pull of 138 MB in ${layers} ${compression} layers: ${what}`,
        unit,
        ours: median(ours.map((each) => each[key])),
        against: { name, value: median(theirs.map((each) => each[key])) },
      });
      rows.push(
        row('time', 'ms', 'milliseconds'),
        row('processor time', 'ms', 'processorMilliseconds'),
        row('highest memory', 'MB', 'megabytes'),
      );
    }
    return rows;
  } finally {
    registry.child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs a pull into a new directory, which is removed. */
async function measured(pull: Pull, run: (pull: Pull) => Promise<void>): Promise<Measurement> {
  mkdirSync(pull.directory);
  const processor = processorOfChildren();
  const memory = new ChildMemory();
  const begun = performance.now();
  try {
    await run(pull);
    return {
      milliseconds: performance.now() - begun,
      processorMilliseconds: processorOfChildren() - processor,
      megabytes: memory.stop(),
    };
  } finally {
    memory.stop();
    rmSync(pull.directory, { recursive: true });
  }
}

/** Pulls with the function that the agent calls. */
async function pullByAgent(
  { childUsers, defaultLimits, runPullAndUnpack }: typeof Puller,
  { reference, ca, directory }: Pull,
): Promise<void> {
  const blobs = join(directory, 'blobs');
  const target = join(directory, 'rootfs');
  mkdirSync(blobs, { mode: 0o700 });
  chownSync(blobs, childUsers.pull, childUsers.pull);
  mkdirSync(target);
  const settings: Puller.PullSettings = {
    registries: [],
    requireDigest: false,
    registryCa: [readFileSync(ca, 'utf8')],
    credentials: [],
    tokenHosts: {},
    mirrors: {},
    signatures: [],
    decryptionKeys: [],
    maxBytes: 2 ** 31,
  };
  await runPullAndUnpack(
    { blobs, target, limits: defaultLimits, reference, settings, totalMs: 60_000, userAgent: 'bench' },
    { unwrapKey: () => Promise.resolve(undefined) },
  );
  if (readdirSync(target).length !== layers) throw new Error('the image was not unpacked');
}

async function pullByTools({ reference, ca, compression, directory }: Pull): Promise<void> {
  const layout = join(directory, 'layout');
  const certificates = ['--src-cert-dir', dirname(ca)];
  await run('skopeo', [
    '--insecure-policy',
    'copy',
    '-q',
    ...certificates,
    `docker://${reference}`,
    `oci:${layout}:x`,
  ]);
  if (compression === 'gzip')
    return run('umoci', [
      '--log=error',
      'raw',
      'unpack',
      '--image',
      `${layout}:x`,
      join(directory, 'rootfs'),
    ]);
  mkdirSync(join(directory, 'rootfs'));
  const manifest = JSON.parse(readFileSync(blobOf(layout, manifestOf(layout)), 'utf8')) as {
    readonly layers: readonly { readonly digest: string }[];
  };
  for (const { digest } of manifest.layers)
    await run('tar', ['--zstd', '-xpf', blobOf(layout, digest), '-C', join(directory, 'rootfs')]);
}

function manifestOf(layout: string): string {
  const { manifests } = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as {
    readonly manifests: readonly { readonly digest: string }[];
  };
  return manifests[0]?.digest ?? '';
}

function blobOf(layout: string, digest: string): string {
  return join(layout, 'blobs', digest.replace(':', '/'));
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const child = tracked(spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] }));
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${command} failed`);
}

/** Bundles what the agent has of the puller, beside the bundled program that it starts. */
async function bundledPuller(): Promise<typeof Puller> {
  const outfile = join(dirname(bundledAgent()), 'bench-puller.mjs');
  buildSync({
    entryPoints: [join(root, 'agent/puller/dist/index.js')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
    banner: {
      js: "import { createRequire as bundleRequire } from 'node:module';\nconst require = bundleRequire(import.meta.url);",
    },
  });
  try {
    return (await import(outfile)) as typeof Puller;
  } finally {
    rmSync(outfile);
  }
}

/** Pushes a new image: its files are parts of Node.js, which compress as programs do. */
function pushImage(layout: string, { reference, ca, compression }: Omit<Pull, 'directory'>): void {
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  const store = (bytes: Buffer, mediaType: string): { digest: string; size: number; mediaType: string } => {
    const digest = digestOf(bytes);
    writeFileSync(blobOf(layout, digest), bytes);
    return { digest, size: bytes.length, mediaType };
  };
  const archives = Array.from({ length: layers }, (_, layer) => layerArchive(layer));
  const config = {
    os: 'linux',
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    config: {},
    rootfs: { type: 'layers', diff_ids: archives.map(digestOf) },
  };
  const manifest = {
    schemaVersion: 2,
    config: store(Buffer.from(JSON.stringify(config)), 'application/vnd.oci.image.config.v1+json'),
    layers: archives.map((archive) =>
      store(compressed(archive, compression), `application/vnd.oci.image.layer.v1.tar+${compression}`),
    ),
  };
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const named = { ...store(Buffer.from(JSON.stringify(manifest)), manifestType) };
  const annotations = { 'org.opencontainers.image.ref.name': 'x' };
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...named, annotations }] }),
  );
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  execFileSync(
    'skopeo',
    [
      '--insecure-policy',
      'copy',
      '-q',
      '--dest-cert-dir',
      dirname(ca),
      `oci:${layout}:x`,
      `docker://${reference}`,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  rmSync(layout, { recursive: true });
}

function compressed(archive: Buffer, compression: Compression): Buffer {
  if (compression === 'gzip') return gzipSync(archive);
  return spawnSync('zstd', ['-q', '-c'], { input: archive, maxBuffer: 1 << 30 }).stdout;
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The tar archive of a layer, made by GNU tar. */
function layerArchive(layer: number): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-layer-'));
  const program = openSync(process.execPath, 'r');
  try {
    for (let index = 0; index < filesPerLayer; index += 1) {
      const number = layer * filesPerLayer + index;
      const content = Buffer.alloc(fileSize(number));
      readSync(program, content, 0, content.length, number * 110_000);
      const parent = join(directory, `layer-${layer}/d${index % 9}`);
      mkdirSync(parent, { recursive: true });
      writeFileSync(join(parent, `f${index}`), content);
    }
    return execFileSync('tar', ['-c', '-C', directory, `layer-${layer}`], { maxBuffer: 1 << 30 });
  } finally {
    closeSync(program);
    rmSync(directory, { recursive: true });
  }
}

/** Starts docker-registry without authentication. `ca` is the path of the certificate of its CA. */
async function startRegistry(
  directory: string,
): Promise<{ readonly host: string; readonly ca: string; readonly child: ChildProcess }> {
  const authority = createAuthority();
  const { cert, key } = authority.server('127.0.0.1');
  const certificates = join(directory, 'certs');
  mkdirSync(certificates);
  const at = (name: string): string => join(directory, name);
  writeFileSync(join(certificates, 'ca.crt'), authority.pem);
  writeFileSync(at('cert.pem'), cert);
  writeFileSync(at('key.pem'), key, { mode: 0o600 });
  const host = `127.0.0.1:${await freePort()}`;
  writeFileSync(
    at('registry.yml'),
    [
      'version: 0.1',
      'log: { level: error, accesslog: { disabled: true } }',
      `storage: { filesystem: { rootdirectory: ${at('registry')} } }`,
      `http: { addr: '${host}', tls: { certificate: ${at('cert.pem')}, key: ${at('key.pem')} } }`,
      '',
    ].join('\n'),
  );
  const child = tracked(spawn('docker-registry', ['serve', at('registry.yml')], { stdio: 'ignore' }));
  for (let tries = 0; !(await answers(host)); tries += 1) {
    if (tries === 100 || child.exitCode !== null) throw new Error('docker-registry does not answer');
    await delay(50);
  }
  return { host, ca: join(certificates, 'ca.crt'), child };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Reports whether something listens there. */
function answers(host: string): Promise<boolean> {
  const [address, port] = host.split(':');
  const probe = spawn('bash', ['-c', `exec 3<>/dev/tcp/${address}/${port}`], { stdio: 'ignore' });
  return new Promise((resolve) => void probe.once('exit', (code) => resolve(code === 0)));
}

/** Processor time of this process's children that have ended, and of theirs, in milliseconds. */
function processorOfChildren(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  // In hundredths of a second, on every Linux of the benchmark.
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

/** Samples the memory of the children that are started after it. */
class ChildMemory {
  readonly #before = new Set(descendants(process.pid));
  readonly #timer = setInterval(() => this.#sample(), 5);
  #highest = 0;

  /** Returns the highest memory in megabytes, and ends the samples. */
  stop(): number {
    clearInterval(this.#timer);
    return this.#highest;
  }

  #sample(): void {
    const used = descendants(process.pid)
      .filter((pid) => !this.#before.has(pid))
      .map(memoryOf);
    const own = used.reduce((sum, each) => sum + each.own, 0);
    // Processes of one program share its file.
    const mapped = Math.max(0, ...used.map((each) => each.mapped));
    this.#highest = Math.max(this.#highest, (own + mapped) / 1024);
  }
}

function descendants(pid: number): readonly number[] {
  const children = textOf(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Kibibytes that are private, and of files. */
function memoryOf(pid: number): { readonly own: number; readonly mapped: number } {
  const status = textOf(`/proc/${pid}/status`);
  const of = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return { own: of('RssAnon'), mapped: of('RssFile') };
}

/** Returns the text of a file of a process, empty if that has ended. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
