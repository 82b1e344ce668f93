import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { type Json, JsonSyntaxError, parseJson } from './parse-json.js';

const bytes = (text: string): Buffer => Buffer.from(text);

/** What JSON.parse gives. */
function plain(value: Json): unknown {
  if (value instanceof Map)
    return Object.fromEntries(
      [...(value as ReadonlyMap<string, Json>)].map(([name, each]) => [name, plain(each)]),
    );
  return Array.isArray(value) ? value.map((each: Json) => plain(each)) : value;
}

describe('parseJson', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.constantFrom(0, 2), (text, space) => {
        const again = JSON.stringify(JSON.parse(text), undefined, space);
        assert.deepEqual(plain(parseJson(bytes(again))), JSON.parse(again));
      }),
    );
  });

  it('reads white space, escapes and names of objects', () => {
    const text =
      ' { "a\\"b\\\\" : [ 1 , -2.5e3 , "\\u00e9]," , { } , [ ] , null ] ,\r\n\t"__proto__":{"x":true} } ';
    const parsed = parseJson(bytes(text)) as ReadonlyMap<string, Json>;
    assert.deepEqual([...parsed.keys()], ['a"b\\', '__proto__']);
    assert.deepEqual(plain(parsed.get('a"b\\') ?? null), [1, -2500, 'é],', {}, [], null]);
  });

  it('refuses what readers can understand differently', () => {
    for (const text of [
      '{"a":1,"a":1}',
      '[{"a":1,"b":{"c":1,"c":2}}]',
      String.raw`{"a":1,"\u0061":2}`,
      '{"__proto__":1,"__proto__":2}',
      '{"":1,"":2}',
    ])
      assert.throws(() => parseJson(bytes(text)), /a name occurs twice/, text);
    for (const text of [
      '',
      '{',
      '{"a":1}x',
      "{'a':1}",
      '{"a":1,}',
      '[1,]',
      '\uFEFF{}',
      '{"a":NaN}',
      '01',
      '{a:1}',
      '// x\n{}',
    ])
      assert.throws(() => parseJson(bytes(text)), JsonSyntaxError, text);
    assert.throws(() => parseJson(Buffer.from([0x22, 0xc0, 0x80, 0x22])), /not UTF-8/);
    assert.throws(() => parseJson(bytes(`${'['.repeat(40)}${']'.repeat(40)}`)), /more than 32 levels/);
  });

  it('reads 4 MiB of strings, names or numbers in a time that grows with their length', () => {
    const many = Array.from({ length: 200_000 }, (_, n) => `"n${n}":${n}`).join(',');
    for (const text of [
      `"${'x'.repeat(4 << 20)}"`,
      `"${String.raw`\"`.repeat(2 << 20)}"`,
      `[${'1,'.repeat(2 << 20)}1]`,
      `{${many}}`,
      ' '.repeat(4 << 20).concat('1'),
    ]) {
      const begun = process.cpuUsage();
      parseJson(bytes(text));
      // Of the processor, whatever else runs; a quadratic reader needs minutes.
      assert.ok(process.cpuUsage(begun).user < 10_000_000, text.slice(0, 20));
    }
  });
});
