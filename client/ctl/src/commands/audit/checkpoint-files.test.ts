import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openAuditLog, prove, type SignedHead, verify } from '@kata-agent/audit';
import {
  agentLogSigner,
  emptyRoot,
  leafHash,
  LogSigner,
  parseCheckpoint,
  signCheckpoint,
  WitnessSigner,
} from '@kata-agent/tlog';
import { runProgram } from '@kata-agent/cli';
import { program } from '../../program.js';
import { fakeIo } from '@kata-agent/cli/testing/fake-io';
import { type Ended, runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
const at = (name: string): string => join(directory, name);
const { privateKey } = generateKeyPairSync('ed25519');
const signer = agentLogSigner(privateKey);
const key = ['--key', signer.verifier.toString()];
const call = { listener: 'host', peer: 'cid 2', method: 'StartContainer', payload: Buffer.from('x') };
let checkpoint = '';

before(async () => {
  const log = await openAuditLog({ file: at('audit.log'), maxSize: 1 << 20, keep: 2, bootId: 'b', signer });
  await log.boot({});
  ({ checkpoint } = await log.checkpoint());
  await log.close();
  writeFileSync(at('proof'), await prove(at('audit.log'), 1, parseCheckpoint(checkpoint)));
});
after(() => rmSync(directory, { recursive: true }));

function verified(text: string, ...more: readonly string[]): Ended {
  writeFileSync(at('checkpoint'), text);
  return runBinary(['audit', 'verify', at('audit.log'), '--checkpoint', at('checkpoint'), ...key, ...more]);
}

test('a file without an end is refused, not read', () => {
  for (const argv of [
    ['verify', at('audit.log'), '--checkpoint', '/dev/zero', ...key],
    ['verify-proof', '/dev/zero', at('audit.log'), ...key],
    ['verify-proof', at('proof'), '/dev/zero', ...key],
  ])
    assert.match(runBinary(['audit', ...argv]).stderr, /\/dev\/zero is larger than 16 MiB/);
});

test('an origin that is not an agent’s is not printed as it is', () => {
  const other = new LogSigner('\u009b31m\u202e', privateKey);
  const { code, stdout, stderr } = verified(signCheckpoint(other, parseCheckpoint(checkpoint).head));
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /line 1: "\\u009b31m\\u202e" is not the origin of an agent's log/);
});

test('a cosignature of any time is printed', () => {
  const witness = new WitnessSigner('witness.example/w', generateKeyPairSync('ed25519').privateKey);
  const text = checkpoint.slice(0, checkpoint.indexOf('\n\n') + 1);
  for (const [time, printed] of [
    [1_700_000_000, '2023-11-14T22:13:20.000Z'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991 seconds after 1970'],
  ] as const) {
    const ended = verified(checkpoint + witness.cosign(text, time), '--witness', witness.verifier.toString());
    assert.equal(ended.code, 0, ended.stderr);
    assert.ok(ended.stdout.includes(`cosigned by witness.example/w at ${printed}\n`), ended.stdout);
  }
});

test('one key of a witness under two names is one witness', () => {
  const { privateKey: ofWitness } = generateKeyPairSync('ed25519');
  const [one, two] = ['one', 'two'].map((name) => new WitnessSigner(`witness.example/${name}`, ofWitness));
  assert.ok(one !== undefined && two !== undefined);
  const text = checkpoint.slice(0, checkpoint.indexOf('\n\n') + 1);
  const cosigned = checkpoint + one.cosign(text, 1) + two.cosign(text, 1);
  const names = [one, two].flatMap(({ verifier }) => ['--witness', verifier.toString()]);
  const { code, stderr } = verified(cosigned, ...names, '--quorum', '2');
  assert.equal(code, 2);
  assert.match(stderr, /the key of witness\.example\/two is given twice/);
});

test('a proof is of the bytes of a line, with or without its newline', () => {
  const line = readFileSync(at('audit.log'), 'latin1').slice(0, -1);
  const code = (record: string | Uint8Array): number | null => {
    writeFileSync(at('record'), record);
    return runBinary(['audit', 'verify-proof', at('proof'), at('record'), ...key]).code;
  };
  assert.equal(code(line), 0);
  assert.equal(code(`${line}\n`), 0);
  for (const other of ['\n\n', '\r\n', '\0', ' ', '\n\0']) assert.equal(code(line + other), 4);
  assert.equal(code(`\ufeff${line}`), 4);
  assert.equal(code(Buffer.from(line, 'utf16le')), 4);
  assert.equal(code(''), 4);
  // Its leaf, which is not its line.
  assert.equal(code(line.replace(/,"hash":"[0-9a-f]{64}"\}$/, '}')), 4);
  const { stderr } = runBinary(['audit', 'verify-proof', at('proof'), at('record'), ...key]);
  assert.match(stderr, /not proved: the record is not a record: it does not end in a hash/);
});

test('what only a rotation after the checkpoint explains is not verified, and is said (S45)', async () => {
  const file = at('rotated.log');
  const other = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
  const log = await openAuditLog({ file, maxSize: 2_000, keep: 2, bootId: 'b', signer: other });
  await log.boot({});
  const heads: SignedHead[] = [];
  for (let n = 0; n < 40; n += 1) {
    await log.intent(call, { outcome: 'allow', method: call.method, listener: call.listener, reason: '' });
    heads.push(await log.checkpoint());
  }
  await log.close();
  const { removed } = await verify(file);
  const printed = ({ checkpoint: text }: SignedHead): ReturnType<typeof runBinary> => {
    writeFileSync(at('checkpoint'), text);
    const keys = ['--key', other.verifier.toString()];
    return runBinary(['audit', 'verify', file, '--checkpoint', at('checkpoint'), ...keys]);
  };
  const oldest = heads.find(({ size }) => size > removed) ?? assert.fail();
  const early = printed(oldest);
  assert.equal(early.code, 4);
  assert.match(
    early.stdout,
    new RegExp(
      `^not ok: [^]*records 1 to ${removed} are gone, and only record \\d+ says that rotation removed them`,
    ),
  );
  const newest = printed(heads.at(-1) ?? assert.fail());
  assert.equal(newest.code, 0);
  assert.match(newest.stdout, /^ok: [^]*were kept/);
  assert.doesNotMatch(newest.stdout, /does not cover/);
});

test('a checkpoint of another tree, key, size or witness is never worth 0 (S45)', async () => {
  const file = at('equivocal.log');
  const own = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
  const stranger = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
  const log = await openAuditLog({ file, maxSize: 1 << 20, keep: 2, bootId: 'b', signer: own });
  await log.boot({});
  const allow = { outcome: 'allow', method: call.method, listener: call.listener, reason: '' } as const;
  const early = parseCheckpoint((await log.checkpoint()).checkpoint).head;
  for (let n = 0; n < 6; n += 1) await log.intent(call, allow);
  const signed = await log.checkpoint();
  await log.intent(call, allow);
  await log.close();
  const { size, root } = parseCheckpoint(signed.checkpoint).head;
  const witness = new WitnessSigner('witness.example/w', generateKeyPairSync('ed25519').privateKey);
  const impostor = new WitnessSigner('witness.example/w', generateKeyPairSync('ed25519').privateKey);
  const bodyOf = (text: string): string => text.slice(0, text.indexOf('\n\n') + 1);
  const cosigned = (text: string, of = text, by = witness): string => `${text}${by.cosign(bodyOf(of), 1)}`;
  const second = new WitnessSigner('witness.example/v', generateKeyPairSync('ed25519').privateKey);
  const other = leafHash(Buffer.from('another tree'));
  const good = signed.checkpoint;
  const sized = (written: string): string => {
    const text = bodyOf(good).replace(`\n${size}\n`, `\n${written}\n`);
    return `${text}\n${own.sign(text)}`;
  };
  const ofKey = ['--key', own.verifier.toString()];
  const ofWitness = [...ofKey, '--witness', witness.verifier.toString()];
  const codeOf = async (text: string, keys: readonly string[]): Promise<number> => {
    writeFileSync(at('checkpoint'), text);
    return await runProgram(
      program,
      ['audit', 'verify', file, '--checkpoint', at('checkpoint'), ...keys],
      fakeIo(),
    );
  };
  const table: readonly (readonly [what: string, code: number, text: string, keys: readonly string[]])[] = [
    ['its own of earlier records', 0, signCheckpoint(own, early), ofKey],
    ['its own', 0, good, ofKey],
    ['its own, cosigned', 0, cosigned(good), ofWitness],
    ['another tree of this size', 4, signCheckpoint(own, { size, root: other }), ofKey],
    ['another tree that is smaller', 4, signCheckpoint(own, { size: size - 1, root }), ofKey],
    ['no records', 4, signCheckpoint(own, { size: 0, root: emptyRoot }), ofKey],
    ['more records', 4, signCheckpoint(own, { size: size + 2, root }), ofKey],
    ['as many as there can be', 4, signCheckpoint(own, { size: Number.MAX_SAFE_INTEGER, root }), ofKey],
    ['more than that', 2, sized('9007199254740992'), ofKey],
    ['2^64 more', 2, sized(String(2n ** 64n + BigInt(size))), ofKey],
    ['a size with a zero', 2, sized(`0${size}`), ofKey],
    ['a size with a sign', 2, sized(`+${size}`), ofKey],
    ['a negative size', 2, sized(`-${size}`), ofKey],
    ['a key that is not in the log', 4, signCheckpoint(stranger, { size, root }), []],
    [
      'a key that is not in the log, and known',
      4,
      signCheckpoint(stranger, { size, root }),
      ['--key', stranger.verifier.toString()],
    ],
    ['another key than the known one', 4, good, ['--key', stranger.verifier.toString()]],
    [
      'this origin with the signature of another',
      4,
      `${bodyOf(good)}\n${stranger.sign(bodyOf(good))}`,
      ofKey,
    ],
    ['no signature of the log', 4, `${bodyOf(good)}\n${witness.cosign(bodyOf(good), 1)}`, ofWitness],
    ['nobody known', 4, good, []],
    ['no witness', 4, good, ofWitness],
    ['a witness of another tree', 4, cosigned(good, signCheckpoint(own, { size, root: other })), ofWitness],
    ['a witness of another origin', 4, cosigned(good, signCheckpoint(stranger, { size, root })), ofWitness],
    ['another witness of this name', 4, cosigned(good, good, impostor), ofWitness],
    [
      'one witness twice',
      4,
      `${cosigned(good)}${witness.cosign(bodyOf(good), 2)}`,
      [...ofWitness, '--witness', second.verifier.toString(), '--quorum', '2'],
    ],
  ];
  for (const [what, code, text, keys] of table) assert.equal(await codeOf(text, keys), code, what);
});
