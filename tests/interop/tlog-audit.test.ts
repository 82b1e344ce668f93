import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { type AuditLog, openAuditLog } from '@kata-agent/audit';
import { agentLogSigner } from '@kata-agent/tlog';
import { build } from './artifacts.js';
import { TemporaryDirectory } from './temporary-directory.js';
import { askGo, type Question } from './tlog-peer.js';

const built = build('tlog-peer');
const call = { listener: 'host', peer: 'cid 2', method: 'StatsContainer', payload: Buffer.from('request') };
const decision = {
  outcome: 'allow',
  method: call.method,
  listener: 'host',
  reason: 'in allowed_endpoints',
} as const;

async function write(log: AuditLog, records: number): Promise<void> {
  await log.boot({});
  for (let n = 1; n < records; n += 1) {
    log.observe(call, decision, { code: 'OK', durationUs: 1 });
    if (n % 5_000 === 0) await log.flush();
  }
}

describe("an agent's log and checkpoint, by Go", { skip: built.ok ? false : built.missing }, () => {
  const ask = async (question: Question): Promise<string | undefined> => {
    assert.ok(built.ok);
    const [answer] = await askGo(built.path('tlog-peer'), [question]);
    return answer?.error;
  };

  for (const records of [1, 2, 3, 1_000, 100_000])
    it(`has the same root for ${records} records, over rotations and after another start`, async (t) => {
      const directory = new TemporaryDirectory();
      t.after(() => directory.remove());
      const file = directory.join('audit.log');
      const options = { file, maxSize: 8 << 20, keep: 9, bootId: 'boot' };
      // The log of another start is before this one.
      const before = await openAuditLog(options);
      await write(before, 2);
      await before.close();
      const signer = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
      const log = await openAuditLog({ ...options, signer });
      await write(log, records);
      const { checkpoint, size, first } = await log.checkpoint();
      await log.close();
      assert.ok(size >= records && first === 3);
      const files = Array.from({ length: 9 }, (_, at) => `${file}.${9 - at}`).filter((path) =>
        existsSync(path),
      );
      files.push(file);
      assert.equal(files.length > 1, records === 100_000);
      const keys = [signer.verifier.toString()];
      const question = {
        kind: 'audit',
        text: Buffer.from(checkpoint).toString('base64'),
        keys,
        files,
      } as const;
      assert.equal(await ask(question), undefined);

      const path = files[0] ?? '';
      const text = readFileSync(path, 'latin1');
      const at = text.lastIndexOf('"wall":"2') + 8;
      writeFileSync(path, `${text.slice(0, at)}3${text.slice(at + 1)}`, 'latin1');
      assert.match((await ask(question)) ?? '', /^root .*, checkpoint /);
    });
});
