import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { kernelFiles } from './kernel-files.js';
import { FakeKernel } from './kernel-files.test.fixture.js';
import { checkTsm, readTsmReport } from './tsm-report.js';

const reportData = Buffer.alloc(64, 5);

function guest(provider: string, answer: FakeKernel['answer']): FakeKernel {
  const kernel = new FakeKernel();
  kernel.provider = provider;
  kernel.answer = answer;
  return kernel;
}

test('a report has our report data, and the certificates that the host gives', async () => {
  const snp = guest('sev_guest\n', (data) => ({
    outblob: Buffer.from(data),
    auxblob: 'certificates',
    generation: '1\n',
  }));
  const { provider, report, auxiliary } = await readTsmReport(reportData, '/t', snp);
  assert.equal(provider, 'sev_guest');
  assert.deepEqual(Buffer.from(report), reportData);
  assert.equal(Buffer.from(auxiliary).toString(), 'certificates');
  const without = guest('sev_guest', () => ({ outblob: 'x', generation: '1\n' }));
  assert.equal((await readTsmReport(reportData, '/t', without)).auxiliary.length, 0);
  const tdx = guest('tdx_guest', () => ({ outblob: 'quote', generation: '1\n' }));
  assert.equal(Buffer.from((await readTsmReport(reportData, '/t', tdx)).report).toString(), 'quote');
  for (const kernel of [snp, without, tdx]) assert.equal(kernel.directories.size, 0);
});

test('a request that another process writes to, before or between the reads, gives no report', async () => {
  const before = guest('sev_guest', () => ({ outblob: 'x', auxblob: '', generation: '2\n' }));
  await assert.rejects(readTsmReport(reportData, '/t', before), /another process changed/);
  const between = guest('sev_guest', () => ({ outblob: 'x', auxblob: '', generation: '1\n' }));
  const read = between.read.bind(between);
  between.read = (path) => {
    const bytes = read(path);
    if (path.endsWith('/outblob'))
      between.files.set(path.replace('outblob', 'generation'), Buffer.from('2\n'));
    return bytes;
  };
  await assert.rejects(readTsmReport(reportData, '/t', between), /another process changed/);
  assert.equal(between.directories.size, 0);
});

test('a source is there only in a confidential guest', () => {
  assert.throws(() => checkTsm('/t', new FakeKernel()), /not a confidential guest/);
  const kernel = guest('sev_guest', () => ({}));
  checkTsm('/t', kernel);
  assert.equal(kernel.directories.size, 0);
});

test('a host that is slow with a quote does not stop this thread', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
  try {
    const quote = join(directory, 'quote');
    execFileSync('mkfifo', [quote]);
    const kernel = guest('tdx_guest', () => ({ generation: '1\n' }));
    kernel.readLater = () => kernelFiles.readLater(quote);
    const answer = readTsmReport(reportData, '/t', kernel);
    // Only now somebody writes: a thread that waited would wait for ever.
    await writeFile(quote, 'quote');
    assert.equal(Buffer.from((await answer).report).toString(), 'quote');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
