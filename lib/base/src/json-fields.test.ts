import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type JsonFault, JsonFields } from './json-fields.js';

class Fault extends Error {
  readonly fault: JsonFault;

  constructor(text: string, fault: JsonFault) {
    super(text);
    this.fault = fault;
  }
}

const fail = (text: string, fault: JsonFault): Fault => new Fault(text, fault);

const readers = {
  'a string': (fields: JsonFields) => fields.string('member'),
  'an integer from 0 to 2^53 - 1': (fields: JsonFields) => fields.size('member'),
  'true or false': (fields: JsonFields) => fields.flag('member'),
  'an array': (fields: JsonFields) => fields.array('member'),
} as const;

test('a member is read by its type or refused by name, whatever the document has', () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom(...(Object.keys(readers) as (keyof typeof readers)[])),
      (value, wanted) => {
        const document = JSON.stringify({ member: value });
        for (const fields of [
          JsonFields.parse(Buffer.from(document), 'the text', fail),
          JsonFields.of(JSON.parse(document), 'the text', fail),
        ]) {
          let read: unknown;
          try {
            read = readers[wanted](fields);
          } catch (error) {
            assert.ok(error instanceof Fault);
            assert.equal(error.message, `the text.member is not ${wanted}`);
            assert.deepEqual(error.fault, { owner: 'the text', member: 'member', wanted });
            continue;
          }
          if (!Array.isArray(read)) assert.equal(read, JSON.parse(JSON.stringify(value)));
          fields.end();
        }
      },
    ),
  );
});

test('a document that is not an object is refused', () => {
  for (const value of [null, 1, 'x', [], true])
    assert.throws(() => JsonFields.of(value, 'the text', fail), /^Error: the text is not an object$/);
});

test('an error has the path; what nothing has read is refused by `end`, also names of prototypes', () => {
  const fields = JsonFields.parse(
    Buffer.from('{"list": [{"name": 1}], "__proto__": {}, "n": null}'),
    'it',
    fail,
  );
  const [first] = fields.objects('list', 1);
  assert.throws(() => first?.string('name'), /^Error: it\.list\[0\]\.name is not a string$/);
  assert.throws(() => fields.objects('list', 0), /^Error: it\.list has more than 0 items$/);
  assert.equal(fields.optionalString('n'), undefined);
  assert.throws(() => fields.end(), /^Error: it has the unknown member "__proto__"$/);
  assert.deepEqual(fields.entries('__proto__'), []);
  fields.end();
  assert.throws(() => fields.string('toString'), /is not a string/);
});
