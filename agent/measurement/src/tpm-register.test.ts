import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MeasurementError, tpmRegister, tpmTransport } from './index.js';

const hex = (...parts: readonly string[]): Buffer => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');

/** Builds a response without sessions: tag, length, response code, parameters. */
function answer(result: string, ...parts: readonly string[]): Buffer {
  const body = hex(...parts);
  const length = (10 + body.length).toString(16).padStart(8, '0');
  return Buffer.concat([hex('8001', length, result), body]);
}

// SHA-1 with no register, SHA-256 with 8 and 23, SHA-384 with 8.
const banks = answer(
  '00000000',
  '00 00000005 00000003',
  '0004 03 000000',
  '000b 03 000180',
  '000c 03 000100',
);
const values = answer(
  '00000000',
  '00000007 00000002',
  '000b 03 000100',
  '000c 03 000100',
  '00000002',
  `0020 ${'ab'.repeat(32)}`,
  `0030 ${'cd'.repeat(48)}`,
);

/** A fake TPM with a response per command code, which records the commands. */
function tpm(answers: Readonly<Record<string, Buffer>>) {
  const asked: string[] = [];
  const transport = async (command: Uint8Array): Promise<Uint8Array> => {
    const text = Buffer.from(command).toString('hex');
    asked.push(text);
    return answers[text.slice(12, 20)] ?? Buffer.alloc(0);
  };
  return { transport, asked };
}

test('all banks that contain the register are read and extended in one command each', async () => {
  const { transport, asked } = tpm({
    '0000017a': banks,
    '0000017e': values,
    '00000182': hex('8002 00000013 00000000 00000000 0000 01 0000'),
  });
  const register = tpmRegister(8, transport);
  assert.deepEqual(await register.read(), { sha256: 'ab'.repeat(32), sha384: 'cd'.repeat(48) });
  await register.extend({ sha256: '11'.repeat(32), sha384: '22'.repeat(48) });
  // As sent by tpm2_getcap, tpm2_pcrread and tpm2_pcrextend.
  assert.deepEqual(asked, [
    hex('8001 00000016 0000017a 00000005 00000000 00000001').toString('hex'),
    hex('8001 0000001a 0000017e 00000002 000b03000100 000c03000100').toString('hex'),
    hex(
      '8002 00000073 00000182 00000008 00000009 40000009 0000 00 0000 00000002',
      `000b ${'11'.repeat(32)} 000c ${'22'.repeat(48)}`,
    ).toString('hex'),
  ]);
});

test('unknown bank algorithms, a register in no bank and a missing bank are errors', async () => {
  const unknown = answer('00000000', '00 00000005 00000002', '000b 03 000001', '0999 03 000001');
  await assert.rejects(
    tpmRegister(16, tpm({ '0000017a': unknown }).transport).read(),
    /bank 0x999.*tpm2_pcrallocate/,
  );
  await assert.rejects(
    tpmRegister(22, tpm({ '0000017a': banks }).transport).read(),
    /no bank of the TPM has PCR 22/,
  );
  const half = answer(
    '00000000',
    '00000007 00000001',
    '000b 03 000100',
    '00000001',
    `0020 ${'ab'.repeat(32)}`,
  );
  await assert.rejects(
    tpmRegister(8, tpm({ '0000017a': banks, '0000017e': half }).transport).read(),
    /returned no PCR 8 of bank sha384/,
  );
});

test('a TPM error is reported by its code; a truncated response is an error', async () => {
  const locked = tpm({ '00000182': answer('00000907') });
  await assert.rejects(
    tpmRegister(17, locked.transport).extend({ sha256: '11'.repeat(32) }),
    /TPM2_PCR_Extend failed with 0x907: run tpm2_rc_decode 0x907/,
  );
  for (const [code, whole] of [
    ['0000017a', banks],
    ['0000017e', values],
  ] as const) {
    for (let length = 0; length < whole.length; length++) {
      const { transport } = tpm({
        '0000017a': banks,
        '0000017e': values,
        [code]: whole.subarray(0, length),
      });
      await assert.rejects(tpmRegister(8, transport).read(), MeasurementError, `${code} ${length}`);
    }
  }
});

test('over a socket, a split response is read and an incomplete one is an error', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-tpm-'));
  const path = join(directory, 'socket');
  let serve: (socket: Socket) => void = () => undefined;
  const server = createServer((socket) => socket.once('data', () => serve(socket))).listen(path);
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  const transport = tpmTransport({ TPM2TOOLS_TCTI: `swtpm:path=${path}` }, 100);
  serve = (socket) => {
    socket.write(banks.subarray(0, 5));
    setImmediate(() => socket.write(banks.subarray(5)));
  };
  assert.deepEqual(Buffer.from(await transport(hex('00'))), banks);
  serve = (socket) => socket.end(banks.subarray(0, 5));
  assert.equal((await transport(hex('00'))).length, 5);
});

test('a missing TPM is an error with the path that was tried', async () => {
  await assert.rejects(tpmTransport({ TPM2TOOLS_TCTI: 'device:/dev/tpm77' }, 100)(hex('00')), {
    name: 'MeasurementError',
    message: /the TPM at \/dev\/tpm77 does not answer: ENOENT.*: a guest with a TPM 2\.0 is required/,
  });
  await assert.rejects(tpmTransport({ TPM2TOOLS_TCTI: 'swtpm:path=/nowhere/sock' }, 100)(hex('00')), {
    message: /the TPM at \/nowhere\/sock does not answer: .*ENOENT/,
  });
});

test('the environment can name a TPM or a swtpm, and nothing else', () => {
  for (const good of [undefined, 'device:/dev/tpm0', 'device:/dev/tpmrm1', 'swtpm:path=/tmp/a-b/sock'])
    assert.ok(tpmTransport({ TPM2TOOLS_TCTI: good }, 100));
  for (const bad of [
    '',
    'cmd:sh -c id',
    'libtcti.so',
    'device:/dev/../etc/x',
    'swtpm:host=localhost,port=2321',
    'tabrmd',
  ]) {
    assert.throws(() => tpmTransport({ TPM2TOOLS_TCTI: bad }, 100), MeasurementError, bad);
  }
});

test('PID 1 ignores its environment, which comes from the kernel command line (S23)', async () => {
  const transport = tpmTransport({ TPM2TOOLS_TCTI: 'swtpm:path=/run/fake' }, 1);
  await assert.rejects(transport(hex('00')), /\/dev\/tpmrm0/);
});
