import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { MeasurementError } from '@kata-agent/measurement';
import { AttestationAgentService } from '@kata-agent/protocol/attestation_agent';
import { Code, createServer, service, TtrpcError } from '@kata-agent/ttrpc';
import { quoteOfAttestationAgent } from './attestation-agent.js';

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
