import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseSealed } from './sealed-secret.js';

const encoded = (text: string | Uint8Array): string => Buffer.from(text).toString('base64url');
const sealed = (payload: string | Uint8Array): string => `sealed.${encoded('{}')}.${encoded(payload)}.c2ln`;
const name = 'kbs:///default/key/1';

test('a vault secret names a provider and a resource; an envelope nothing', () => {
  const vault = { version: '0.1.0', type: 'vault', provider: 'kbs', provider_settings: {}, name };
  assert.deepEqual(parseSealed(sealed(JSON.stringify(vault))), { type: 'vault', provider: 'kbs', name });
  const envelope = { version: '0.1.0', type: 'envelope', provider: 'kbs', key_id: name, iv: 'a:b"' };
  assert.deepEqual(parseSealed(sealed(JSON.stringify(envelope, null, 2))), { type: 'envelope' });
});

const vault = `{"type":"vault","provider":"kbs","name":"${name}"}`;
for (const [what, text] of [
  ['three parts', `sealed.e30.${encoded(vault)}`],
  ['five parts', `sealed.${sealed(vault)}`],
  ['another prefix', sealed(vault).replace('sealed', 'Sealed')],
  ['padding', `sealed.e30.${encoded(`${vault} `)}=.c2ln`],
  [
    'base64 of the other alphabet',
    sealed(Buffer.from([0xfb, 0xff]))
      .replaceAll('-', '+')
      .replaceAll('_', '/'),
  ],
  ['bits that no byte has', `sealed.e30.${encoded('{}').replace(/.$/, '1')}.c2ln`],
  ['white space in base64', sealed(vault).replace(/\.(.)([^.]*)\.([^.]*)$/, '.$1 $2.$3')],
  ['no JSON', sealed('{')],
  ['no object', sealed('["vault"]')],
  ['null', sealed('null')],
  ['not UTF-8', sealed(Buffer.from([0x7b, 0xff, 0x7d]))],
  ['a byte order mark', sealed(`\ufeff${vault}`)],
  ['a name twice', sealed(vault.replace('{', '{"name":"x",'))],
  ['a name twice, one escaped', sealed(vault.replace('{', '{"n\\u0061me":"x",'))],
  ['a type twice', sealed(vault.replace('{', '{"type":"envelope",'))],
  ['an inner name twice', sealed(vault.replace('{', '{"annotations":{"a":1,"a":2},'))],
  ['no type', sealed(vault.replace('"type":"vault",', ''))],
  ['no name', sealed('{"type":"vault","provider":"kbs"}')],
  ['a name that is not a text', sealed('{"type":"vault","provider":"kbs","name":["kbs:///a/b/c"]}')],
] as const)
  test(`understood by nobody: ${what}`, () => {
    assert.equal(typeof parseSealed(text), 'string');
  });

test('whatever the members are, each once is accepted', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (others) => {
      const text = JSON.stringify({ ...others, type: 'vault', provider: 'kbs', name });
      assert.deepEqual(parseSealed(sealed(text)), { type: 'vault', provider: 'kbs', name });
    }),
  );
});
