import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { encodeBase64, TextFormError } from '../text-form.js';
import { mutations } from '../testing/mutations.js';
import { otherLog, otherWitness, testKey, testLog, testWitness } from '../testing/test-keys.js';
import {
  cosignedMessage,
  encodeTimestamped,
  LogVerifier,
  parseVerifier,
  WitnessVerifier,
} from './verifiers.js';
import {
  formatNote,
  formatSignatureLine,
  NoteSignatureError,
  type NoteSignatures,
  parseNote,
  verifyNote,
} from './note.js';
import { LogSigner, WitnessSigner } from './signers.js';

const text = 'a text\n\nwith an empty line, ü and \u{1f512}\n';
const time = 1_700_000_000;
const logLine = testLog.sign(text);
const witnessLine = testWitness.cosign(text, time);
const note = formatNote(text, [logLine, witnessLine]);
const open = (
  input: Uint8Array | string,
  keys: readonly (LogVerifier | WitnessVerifier)[] = [testLog.verifier, testWitness.verifier],
): NoteSignatures => verifyNote(parseNote(input), keys);

const lineOf = ({ name, id }: LogVerifier | WitnessVerifier, signature: Uint8Array): string =>
  formatSignatureLine({ name, id, signature });

const isMalformed = (error: unknown): boolean => error instanceof TextFormError;
const isFault =
  (fault: NoteSignatureError['fault']) =>
  (error: unknown): boolean =>
    error instanceof NoteSignatureError && error.fault === fault;

describe('a note', () => {
  it('has its text and the verified signatures of known keys', () => {
    assert.equal(parseNote(note).text, text);
    assert.deepEqual(open(note), {
      logs: [{ by: testLog.verifier, line: logLine }],
      witnesses: [{ by: testWitness.verifier, time, line: witnessLine }],
    });
    assert.deepEqual(open(Buffer.from(note), [testLog.verifier]).witnesses, []);
  });

  it('is refused with any byte or line changed, or loses the signature that was changed', () => {
    const whole = JSON.stringify(open(note));
    for (const { what, bytes } of mutations(note)) {
      let opened: NoteSignatures;
      try {
        opened = open(bytes);
      } catch (error) {
        assert.ok(error instanceof TextFormError || error instanceof NoteSignatureError, what);
        continue;
      }
      // The change made a line one of an unknown key, or only its place is another.
      assert.equal(parseNote(bytes).text, text, what);
      const left = opened.logs.length + opened.witnesses.length;
      assert.ok(left === 1 || JSON.stringify(opened) === whole, what);
    }
  });

  it('is refused when a known key has a wrong signature, though another one is right', () => {
    const forged = [
      testLog.sign(`${text}more\n`),
      lineOf(testLog.verifier, Buffer.alloc(64)),
      ...[1, 63, 65, 72].map((length) => lineOf(testLog.verifier, Buffer.alloc(length))),
      ...[1, 7, 8, 64, 71, 72, 73].map((length) => lineOf(testWitness.verifier, Buffer.alloc(length, 1))),
      testWitness.cosign(`${text}more\n`, time),
    ];
    for (const line of forged)
      for (const lines of [
        [logLine, witnessLine, line],
        [line, logLine, witnessLine],
      ])
        assert.throws(() => open(formatNote(text, lines)), isFault('wrong'));
  });

  it('ignores signatures of other keys, also those with a known name or a known id', () => {
    const { name, id } = testLog.verifier;
    const garbage = Buffer.from('garbage');
    const others = [
      otherLog.sign(text),
      new LogSigner(name, testKey(9)).sign(text),
      formatSignatureLine({ name, id: '00000000', signature: garbage }),
      formatSignatureLine({ name: 'other', id, signature: garbage }),
    ];
    assert.deepEqual(open(formatNote(text, [...others, logLine, witnessLine])), open(note));
    for (const line of others)
      assert.throws(() => open(formatNote(text, [line]), [testLog.verifier]), isFault('missing'));
    assert.throws(() => open(note, []), isFault('missing'));
  });

  it('counts a key once', () => {
    const later = testWitness.cosign(text, time + 1);
    assert.deepEqual(open(formatNote(text, [logLine, witnessLine, later, logLine])), open(note));
  });

  it('does not accept a cosignature as a signature, nor the reverse, under one name and key', () => {
    const log = new LogSigner('one', testKey(5));
    const witness = new WitnessSigner('one', testKey(5));
    assert.notEqual(log.verifier.id, witness.verifier.id);
    assert.throws(() => open(formatNote(text, [log.sign(text)]), [witness.verifier]), isFault('missing'));
    assert.throws(
      () => open(formatNote(text, [witness.cosign(text, time)]), [log.verifier]),
      isFault('missing'),
    );
  });

  it('is malformed without its parts, beyond its limits, or with characters that it cannot have', () => {
    const line = logLine.slice(0, -1);
    const [dash = '', name = '', base64 = ''] = line.split(' ');
    for (const malformed of [
      '',
      '\n',
      '\n\n',
      text,
      `${text}\n`,
      `${text}${logLine}`,
      `${text}\n${line}`,
      `${note}\n`,
      `\ufeff\n\n${dash} ${name} ${base64}`,
      ...['- NAME B64', '\u2013 NAME B64', '\u2014  NAME B64', '\u2014 NAME  B64', '\u2014 NAME B64 '].map(
        (form) => `${text}\n${form.replace('NAME', name).replace('B64', base64)}\n`,
      ),
      ...['', 'a+b', 'a\u00a0b', 'a\u2003b', 'a\u0085b'].map((bad) => `${text}\n${dash} ${bad} ${base64}\n`),
      ...[
        '',
        'AAAA',
        '====',
        base64.slice(0, -1),
        `${base64}=`,
        `${base64.slice(0, -2)}B=`,
        '_w==',
        'AAAA AAAA',
      ].map((bad) => `${text}\n${dash} ${name} ${bad}\n`),
      ...['\0', '\t', '\r', '\u001f', '\ud800'].map((bad) => note.replace('text', `te${bad}xt`)),
      formatNote(text, Array(101).fill(logLine)),
      formatNote(`${'x'.repeat(256 * 1024)}\n`, [logLine]),
    ])
      assert.throws(() => parseNote(malformed), isMalformed, JSON.stringify(malformed.slice(0, 300)));
    assert.throws(() => parseNote(Buffer.from([0xff, ...Buffer.from(note)])), isMalformed);
    assert.equal(parseNote(formatNote(text, Array(100).fill(logLine))).signatures.length, 100);
    // The last empty line is where the text ends.
    assert.throws(() => open(`${text}\n${logLine}\n${witnessLine}`), isFault('wrong'));
    // A byte order mark is a part of the text like others.
    assert.equal(parseNote(`\ufeff${note}`).text, `\ufeff${text}`);
  });

  it('of any text without control characters opens again, and its parts are not mixed up', () => {
    const line = fc.string({ unit: 'grapheme' }).filter((part) => !/[\u0000-\u001f]/.test(part));
    const property = fc.property(fc.array(line), line, (lines, last) => {
      const any = [...lines, last].map((part) => `${part}\n`).join('');
      const signed = parseNote(formatNote(any, [testLog.sign(any)]));
      assert.equal(signed.text, any);
      assert.equal(verifyNote(signed, [testLog.verifier]).logs.length, 1);
    });
    fc.assert(property);
  });

  it('is not verified with two keys that cannot be told apart', () => {
    class Twin extends LogVerifier {
      override toString(): string {
        return 'another key';
      }
    }
    const twin = new Twin(testLog.verifier.name, Buffer.alloc(32, 7));
    Object.defineProperty(twin, 'id', { value: testLog.verifier.id });
    assert.throws(() => open(note, [testLog.verifier, twin]), /two different keys/);
    assert.equal(open(note, [testLog.verifier, testLog.verifier]).logs.length, 1);
  });
});

describe('a cosignature', () => {
  it('signs two lines and the text', () => {
    assert.equal(
      cosignedMessage('origin\n1\nroot\n', 1679315147).toString(),
      'cosignature/v1\ntime 1679315147\norigin\n1\nroot\n',
    );
  });

  it('has a time that is signed, between 1 and 2^53 - 1', () => {
    const key = testKey(3);
    const lineAt = (shown: bigint, signed: string): string => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(shown);
      const message = `cosignature/v1\ntime ${signed}\n${text}`;
      const signature = Buffer.concat([bytes, sign(null, Buffer.from(message), key)]);
      return lineOf(testWitness.verifier, signature);
    };
    const timeOf = (line: string): number | undefined => open(formatNote(text, [line])).witnesses[0]?.time;
    assert.equal(lineAt(BigInt(time), `${time}`), witnessLine);
    assert.equal(timeOf(lineAt(1n, '1')), 1);
    assert.equal(timeOf(lineAt(2n ** 53n - 1n, '9007199254740991')), Number.MAX_SAFE_INTEGER);
    for (const [shown, signed] of [
      [0n, '0'] as const,
      [2n ** 53n, '9007199254740992'] as const,
      [2n ** 64n - 1n, '18446744073709551615'] as const,
      [5n, '6'] as const,
      [5n, '05'] as const,
    ])
      assert.throws(() => timeOf(lineAt(shown, signed)), isFault('wrong'), `${shown}`);
    for (const bad of [0, -1, 0.5, NaN, 2 ** 53])
      assert.throws(() => testWitness.cosign(text, bad), RangeError);
    assert.equal(
      encodeTimestamped({ time: 258, signature: Buffer.of(9) }).toString('hex'),
      '000000000000010209',
    );
  });
});

describe('a verifier key', () => {
  it('is parsed from its own text', () => {
    for (const verifier of [
      testLog.verifier,
      otherLog.verifier,
      testWitness.verifier,
      otherWitness.verifier,
    ]) {
      const parsed = parseVerifier(verifier.toString());
      assert.equal(parsed.constructor, verifier.constructor);
      assert.equal(parsed.toString(), verifier.toString());
      assert.match(verifier.toString(), /^[^+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*$/);
    }
  });

  it('is refused with any byte changed', () => {
    const key = testLog.verifier.toString();
    for (const { what, bytes } of mutations(key))
      assert.throws(() => parseVerifier(bytes.toString('latin1')), isMalformed, what);
  });

  it('is refused with another type or another length', () => {
    const keyOf = (bytes: Uint8Array): string => `name+00000000+${encodeBase64(bytes)}`;
    for (const type of [0x00, 0x02, 0x05, 0x06, 0xff])
      assert.throws(
        () => parseVerifier(keyOf(Buffer.of(type, ...Buffer.alloc(32)))),
        /type \d+ is not supported/,
      );
    assert.throws(() => parseVerifier(keyOf(Buffer.alloc(0))), isMalformed);
    for (const length of [0, 31, 33])
      assert.throws(() => parseVerifier(keyOf(Buffer.of(1, ...Buffer.alloc(length)))), /has 32 bytes/);
  });

  it('cannot have a name that a note cannot have', () => {
    for (const name of ['', ' ', 'a b', 'a+b', 'a\nb', 'a\u2028b', 'a\u0001b', 'a\ud800'])
      assert.throws(() => new LogVerifier(name, Buffer.alloc(32, 7)), isMalformed, JSON.stringify(name));
  });
});

it('signers take Ed25519 private keys alone', () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const { privateKey } = generateKeyPairSync('x25519');
  for (const Signer of [LogSigner, WitnessSigner])
    for (const key of [publicKey, privateKey]) assert.throws(() => new Signer('name', key), TypeError);
});
