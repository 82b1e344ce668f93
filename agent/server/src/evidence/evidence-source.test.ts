import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type KernelFiles, MeasurementError } from '@kata-agent/measurement';
import { AttestationAgentService } from '@kata-agent/protocol/attestation_agent';
import { Code, createServer, service, TtrpcError } from '@kata-agent/ttrpc';
import { quoteOfAttestationAgent, tsmSource } from './evidence-source.js';

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

const reportData = new Uint8Array(64).fill(7);

/** A stand-in of the attestation agent, written from docs/records/coco-facts.md. Returns its socket. */
async function standIn(t: TestContext, evidence: (runtimeData: Uint8Array) => string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-aa-'));
  const path = join(directory, 'aa.sock');
  const server = createServer<null>({
    services: [
      service<typeof AttestationAgentService, null>(AttestationAgentService, {
        getEvidence: async ({ RuntimeData }) => ({ Evidence: Buffer.from(evidence(RuntimeData)) }),
      }),
    ],
  });
  const listener = createNetServer((stream) => void server.serve(stream, null)).listen(path);
  await once(listener, 'listening');
  t.after(() => {
    listener.close();
    server.close();
    rmSync(directory, { recursive: true });
  });
  return path;
}

test('the quote of TDX is returned, over the report data as it is', async (t) => {
  const path = await standIn(t, (data) =>
    JSON.stringify({ cc_eventlog: null, quote: Buffer.from(data).toString('base64') }),
  );
  assert.deepEqual(await quoteOfAttestationAgent(reportData, path), reportData);
});

test('evidence of other guests, invalid evidence, and an agent that refuses or is not there, are errors', async (t) => {
  for (const [answer, message] of [
    ['{"attestation_report":{"version":3},"cert_chain":null}', /is not a quote of TDX: use "configfs-tsm"/],
    ['{"quote":5}', /is not a quote of TDX/],
    ['null', /is not a quote of TDX/],
    ['{', /is not JSON/],
    [' '.repeat(1024 * 1024 + 1), /has 1048577 bytes/],
  ] as const) {
    const path = await standIn(t, () => answer);
    await assert.rejects(
      quoteOfAttestationAgent(reportData, path),
      (error) => error instanceof MeasurementError && message.test(error.message),
    );
  }
  const refusing = await standIn(t, () => {
    throw new TtrpcError(Code.Internal, '[ERROR:attestation-agent] AA-KBC get evidence failed');
  });
  await assert.rejects(
    quoteOfAttestationAgent(reportData, refusing),
    /^MeasurementError: the attestation agent: .*get evidence failed/,
  );
  await assert.rejects(
    quoteOfAttestationAgent(reportData, '/nowhere/aa.sock'),
    /^MeasurementError: .*ENOENT/,
  );
});
