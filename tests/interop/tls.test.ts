import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Authority } from '../harness/authority.js';
import { startEngine } from '../harness/tls-engine.js';
import { build } from './artifacts.js';

const built = build('tls-peer');

describe("Go's TLS", { skip: built.ok ? false : built.missing }, () => {
  it("verifies the agent's certificate for both ends, and is served", async (t) => {
    assert.ok(built.ok);
    const ca = new Authority();
    const { port, own } = await startEngine(t, ca, { peers: ['cn:auditor'] });
    const directory = mkdtempSync(join(tmpdir(), 'kata-go-tls-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const { cert, key } = ca.client();
    const paths = [own.certificate, cert, key].map((text, index) => {
      const path = join(directory, String(index));
      writeFileSync(path, text);
      return path;
    });
    const { stdout } = await promisify(execFile)(built.path('tls-peer'), [`127.0.0.1:${port}`, ...paths]);
    assert.equal(stdout, 'verified CN=kata-agent until 9999-12-31\nwelcome\n');
  });
});
