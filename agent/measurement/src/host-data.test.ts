import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHostData } from './index.js';
import { FakeKernel } from './kernel-files.test.fixture.js';

const mrConfigId = '/t/sys/devices/virtual/misc/tdx_guest/measurements/mrconfigid';

/** Builds a report in the layout of SEV-SNP Firmware ABI 1.55, table 23. */
function snpReport(nonce: Uint8Array, hostData: Uint8Array, version = 2): Buffer {
  const report = Buffer.alloc(1184);
  report.writeUInt32LE(version);
  report.set(nonce, 0x50);
  report.set(hostData, 0xc0);
  return report;
}

function snpGuest(answer: FakeKernel['answer']): FakeKernel {
  const kernel = new FakeKernel();
  kernel.provider = 'sev_guest\n';
  kernel.answer = answer;
  return kernel;
}

const hostData = Buffer.alloc(32, 7);

function refusal(kernel: FakeKernel): string {
  const reading = readHostData('/t', kernel);
  assert.ok(!reading.ok);
  assert.equal(kernel.directories.size, 0, 'no request is left');
  return reading.message;
}

test('HOSTDATA is read from an SNP report that contains our nonce', () => {
  for (const version of [2, 3, 5]) {
    const kernel = snpGuest((nonce) => ({ outblob: snpReport(nonce, hostData, version), generation: '1\n' }));
    const reading = readHostData('/t', kernel);
    assert.ok(reading.ok);
    assert.equal(reading.kind, 'HOSTDATA');
    assert.deepEqual(Buffer.from(reading.bytes), hostData);
    assert.equal(kernel.directories.size, 0, 'the request is removed');
  }
});

test('each request has a fresh nonce', () => {
  const nonces = new Set<string>();
  const kernel = snpGuest((nonce) => {
    nonces.add(Buffer.from(nonce).toString('hex'));
    return { outblob: snpReport(nonce, hostData), generation: '1\n' };
  });
  readHostData('/t', kernel);
  readHostData('/t', kernel);
  assert.equal(nonces.size, 2);
});

test('MRCONFIGID is read from the TDX module', () => {
  const kernel = new FakeKernel();
  kernel.files.set(mrConfigId, Buffer.alloc(48, 9));
  const reading = readHostData('/t', kernel);
  assert.ok(reading.ok);
  assert.equal(reading.kind, 'MRCONFIGID');
  assert.deepEqual(Buffer.from(reading.bytes), Buffer.alloc(48, 9));
});

test('a report with another nonce, a wrong length, an unknown version or a changed generation is rejected', () => {
  const stale = snpGuest(() => ({ outblob: snpReport(Buffer.alloc(64), hostData), generation: '1\n' }));
  assert.match(refusal(stale), /belongs to another request/);
  const short = snpGuest((nonce) => ({
    outblob: snpReport(nonce, hostData).subarray(0, 1000),
    generation: '1',
  }));
  assert.match(refusal(short), /has 1000 bytes/);
  const future = snpGuest((nonce) => ({ outblob: snpReport(nonce, hostData, 99), generation: '1\n' }));
  assert.match(refusal(future), /version 99/);
  const raced = snpGuest((nonce) => ({ outblob: snpReport(nonce, hostData), generation: '2\n' }));
  assert.match(refusal(raced), /another process changed/);
});

test('neither a TDX quote, which passes through the host, nor another provider’s report is read', () => {
  const tdx = snpGuest(() => ({ outblob: Buffer.alloc(5000), generation: '1\n' }));
  tdx.provider = 'tdx_guest\n';
  assert.match(refusal(tdx), /passes through the host/);
  tdx.provider = 'arm_cca_guest\n';
  assert.match(refusal(tdx), /arm_cca_guest/);
});

test('outside a confidential guest the error has a fix', () => {
  const reading = readHostData('/nowhere');
  assert.ok(!reading.ok);
  assert.match(reading.message, /this is not a confidential guest, or configfs is not mounted/);
  assert.match(reading.help, /bind the document by its digest/);
});
