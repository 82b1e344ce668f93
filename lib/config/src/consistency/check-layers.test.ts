import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fails, load, pod } from '../loading.test.fixture.js';

const verified = '[image]\nlayers = "verified"\n';

function ruled(expression: string, more = ''): string {
  return `${pod}[[api.rule]]\nname = "layers"\nendpoints = ["CreateContainer"]\nexpression = '''${expression}'''\n${more}`;
}

test('verified layers need a rule that pins them', async () => {
  const pinned = 'verified_layers == ["a/b/1"]';
  assert.equal((await load(`${ruled(pinned)}${verified}`)).image.layers, 'verified');
  const values = 'image.layers.all(l, l.root_hash + l.salt == "a" && l.data_blocks == 1)';
  assert.equal((await load(`${ruled(values)}${verified}`)).image.layers, 'verified');
  for (const text of [
    pod,
    ruled('image.from == "verified_layers"'),
    ruled('image.layers.all(l, l.root_hash == "a")'),
    ruled(pinned, 'enforcement = "audit"\n'),
    ruled(pinned).replace('"CreateContainer"]\nexp', '"StartContainer"]\nexp'),
  ])
    assert.match(await fails(`${text}${verified}`), /KA1115.*the host would choose the layers/);
});

test('a rule about verified layers needs them', async () => {
  assert.match(await fails(ruled('verified_layers == ["a/b/1"]')), /KA1117.*there are none/);
});

test('with forward the inner agent mounts roots', async () => {
  const text = `${ruled('verified_layers == ["a/b/1"]')}${verified}`;
  assert.match(await fails(`${text}[agent]\nforward = "unix:///inner"\n`), /KA1112.*layers has no effect/);
});
