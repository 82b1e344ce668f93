import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { type KernelFiles, MeasurementError } from '@kata-agent/measurement';
import { tsmSource } from './evidence-source.js';

/** The directory of requests of configfs-tsm, with the answers of one guest. */
class Requests implements KernelFiles {
  readonly files = new Map<string, Uint8Array>();
  readonly open = new Set<string>();
  readonly #answers: Readonly<Record<string, string>>;

  constructor(answers: Readonly<Record<string, string>>) {
    this.#answers = answers;
  }

  read(path: string): Uint8Array {
    const bytes = this.files.get(path);
    if (bytes === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' });
    return bytes;
  }

  async readLater(path: string): Promise<Uint8Array> {
    return this.read(path);
  }

  write(path: string, bytes: Uint8Array): void {
    this.files.set(path, bytes);
    for (const [name, text] of Object.entries(this.#answers))
      this.files.set(`${dirname(path)}/${name}`, Buffer.from(text));
  }

  makeDirectory(path: string): void {
    assert.match(path, /^\/t\/sys\/kernel\/config\/tsm\/report\/kata-agent-/);
    this.open.add(path);
    this.files.set(`${path}/provider`, Buffer.from(`${this.#answers['provider']}\n`));
  }

  removeDirectory(path: string): void {
    this.open.delete(path);
  }

  get reportData(): string {
    const [inblob] = [...this.files].filter(([path]) => path.endsWith('/inblob'));
    return Buffer.from(inblob?.[1] ?? []).toString('hex');
  }
}

const claims = Buffer.from('claims');
const sha384 = createHash('sha384').update(claims).digest('hex');

test('a report of SNP has the hash of the claims and 16 zero bytes, and comes with the certificates of the host', async () => {
  const files = new Requests({ provider: 'sev_guest', outblob: 'report', auxblob: 'table', generation: '1' });
  const source = tsmSource('/t', files);
  await source.check();
  const { evidence } = await source.collect(claims);
  assert.ok(evidence.kind === 'snp');
  assert.equal(Buffer.from(evidence.report).toString(), 'report');
  assert.equal(Buffer.from(evidence.certificates).toString(), 'table');
  assert.equal(files.reportData, `${sha384}${'00'.repeat(16)}`);
  assert.equal(files.open.size, 0);
});

test('a quote of TDX comes with the log of RTMR 3, which is empty if nothing was measured', async () => {
  const files = new Requests({ provider: 'tdx_guest', outblob: 'quote', generation: '1' });
  const { evidence, logs } = await tsmSource('/t', files).collect(claims);
  assert.ok(evidence.kind === 'tdx');
  assert.equal(Buffer.from(evidence.quote).toString(), 'quote');
  assert.deepEqual(logs.rtmr, []);
});

test('other providers, and requests that others write to, give no evidence', async () => {
  for (const answers of [
    { provider: 'arm_cca_guest', outblob: 'token', generation: '1' },
    { provider: 'sev_guest', outblob: 'report', generation: '2' },
  ]) {
    const files = new Requests(answers);
    await assert.rejects(tsmSource('/t', files).collect(claims), MeasurementError);
    assert.equal(files.open.size, 0);
  }
});
