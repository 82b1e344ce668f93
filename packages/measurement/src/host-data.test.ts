import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHostData } from './index.js';
import { FakeKernel } from './kernel-files.test.fixture.js';

const mrConfigId = '/t/sys/devices/virtual/misc/tdx_guest/measurements/mrconfigid';

/** A report in the layout of SEV-SNP Firmware ABI 1.55, table 23. */
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
  assert.equal(kernel.folders.size, 0, 'no request is left');
  return reading.message;
}

test('HOSTDATA of an SNP report that answers our nonce', () => {
  for (const version of [2, 3, 5]) {
    const kernel = snpGuest((nonce) => ({ outblob: snpReport(nonce, hostData, version), generation: '1\n' }));
    const reading = readHostData('/t', kernel);
    assert.ok(reading.ok);
    assert.equal(reading.kind, 'HOSTDATA');
    assert.deepEqual(Buffer.from(reading.bytes), hostData);
    assert.equal(kernel.folders.size, 0, 'the request is taken back');
  }
});

test('each request has a nonce of its own', () => {
  const nonces = new Set<string>();
  const kernel = snpGuest((nonce) => {
    nonces.add(Buffer.from(nonce).toString('hex'));
    return { outblob: snpReport(nonce, hostData), generation: '1\n' };
  });
  readHostData('/t', kernel);
  readHostData('/t', kernel);
  assert.equal(nonces.size, 2);
});

test('MRCONFIGID of the TDX module', () => {
  const kernel = new FakeKernel();
  kernel.files.set(mrConfigId, Buffer.alloc(48, 9));
  const reading = readHostData('/t', kernel);
  assert.ok(reading.ok);
  assert.equal(reading.kind, 'MRCONFIGID');
  assert.deepEqual(Buffer.from(reading.bytes), Buffer.alloc(48, 9));
});

test('a report that answers another request, is short, is of an unknown version, or was raced for is refused', () => {
  const stale = snpGuest(() => ({ outblob: snpReport(Buffer.alloc(64), hostData), generation: '1\n' }));
  assert.match(refusal(stale), /answers another request/);
  const short = snpGuest((nonce) => ({
    outblob: snpReport(nonce, hostData).subarray(0, 1000),
    generation: '1',
  }));
  assert.match(refusal(short), /has 1000 bytes/);
  const future = snpGuest((nonce) => ({ outblob: snpReport(nonce, hostData, 99), generation: '1\n' }));
  assert.match(refusal(future), /version 99/);
  const raced = snpGuest((nonce) => ({ outblob: snpReport(nonce, hostData), generation: '2\n' }));
  assert.match(refusal(raced), /another process wrote/);
});

test('a TDX quote is not read, since it passes through the host; nor a report of anything else', () => {
  const tdx = snpGuest(() => ({ outblob: Buffer.alloc(5000), generation: '1\n' }));
  tdx.provider = 'tdx_guest\n';
  assert.match(refusal(tdx), /passes through the host/);
  tdx.provider = 'arm_cca_guest\n';
  assert.match(refusal(tdx), /arm_cca_guest/);
});

test('no confidential guest: a message with what to do', () => {
  const reading = readHostData('/nowhere');
  assert.ok(!reading.ok);
  assert.match(reading.message, /this is no confidential guest, or configfs is not mounted/);
  assert.match(reading.help, /bind the document by its digest/);
});
