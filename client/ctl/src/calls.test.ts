import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type DescMessage, equals, fromBinary, toBinary } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { CopyFileRequestSchema, ReadStreamResponseSchema } from '@kata-agent/protocol/agent';
import { CommandError, ExitCode } from '@kata-agent/cli';
import { calls, findCall, messageFromJson, messageToJson, requestTemplate } from './calls.js';

test('all 42 methods and both Health methods can be called', () => {
  assert.equal(calls.size, 44);
  assert.equal(findCall('ExecProcess').input.typeName, 'grpc.ExecProcessRequest');
  assert.equal(findCall('Health.Check').parent.typeName, 'grpc.Health');
});

test('an unknown method name suggests the nearest', () => {
  for (const [typed, meant] of [
    ['ExecProces', 'ExecProcess'],
    ['execprocess', 'ExecProcess'],
    ['ExecProcessRequest', 'ExecProcess'],
    ['ReadStdOut', 'ReadStdout'],
    ['health.check', 'Health.Check'],
  ] as const) {
    assert.throws(
      () => findCall(typed),
      (error: unknown) =>
        error instanceof CommandError &&
        error.exitCode === ExitCode.Usage &&
        error.help.includes(`did you mean ${meant}?`),
      typed,
    );
  }
});

test('an unknown name without similar ones gets no suggestion', () => {
  assert.throws(
    () => findCall('Frobnicate'),
    (error: unknown) => error instanceof CommandError && !error.help.join().includes('did you mean'),
  );
});

test('each template is a valid request with each field once', () => {
  for (const [name, method] of calls) {
    const template = requestTemplate(method.input);
    const text = JSON.stringify(template);
    const message = messageFromJson(method.input, text, 'template');
    assert.deepEqual(fromBinary(method.input, toBinary(method.input, message)), message, name);
    const listed = method.input.fields
      .filter((field) => field.oneof === undefined || field.oneof.fields[0] === field)
      .map((field) => field.name);
    assert.deepEqual(Object.keys(template), listed, name);
  }
});

test('requests and replies of every method convert to JSON and back', () => {
  for (const [name, method] of calls) {
    for (const schema of [method.input, method.output]) {
      const message = filled(schema);
      const text = JSON.stringify(messageToJson(schema, message));
      const back = messageFromJson(schema, text, name);
      assert.ok(equals(schema, message, back), `${name}: ${text}`);
    }
  }
});

test('invalid JSON is wrong use, and the error names its source', () => {
  const schema = CopyFileRequestSchema;
  for (const [text, pattern] of [
    ['{', /@f\.json is not valid JSON/],
    ['[]', /@f\.json: .*CopyFileRequest/],
    ['{"paht": "/x"}', /paht/],
    ['{"file_size": "many"}', /file_size/],
  ] as const) {
    assert.throws(
      () => messageFromJson(schema, text, '@f.json'),
      (error: unknown) =>
        error instanceof CommandError && error.exitCode === ExitCode.Usage && pattern.test(error.message),
      text,
    );
  }
});

test('field names in both spellings, base64 bytes and 64-bit numbers as strings are accepted', () => {
  const schema = CopyFileRequestSchema;
  const request = create(schema, { path: '/x', fileSize: 2n ** 40n, data: Buffer.from('hi') });
  for (const text of [
    '{"path": "/x", "file_size": 1099511627776, "data": "aGk="}',
    '{"path": "/x", "fileSize": "1099511627776", "data": "aGk="}',
  ]) {
    assert.ok(equals(schema, request, messageFromJson(schema, text, 'argument') as typeof request));
  }
});

test('a reply includes fields with default values', () => {
  const reply = create(ReadStreamResponseSchema, {});
  assert.deepEqual(messageToJson(ReadStreamResponseSchema, reply), { data: '' });
});

/** Returns a message with a non-default value in each scalar field, with one level of nested messages. */
function filled(schema: DescMessage, depth = 2): ReturnType<typeof create> {
  const message = create(schema);
  const view = reflect(schema, message);
  for (const field of schema.fields) {
    if (field.fieldKind === 'message' && depth > 0) {
      view.set(field, reflect(field.message, filled(field.message, depth - 1)));
    } else if (field.fieldKind === 'scalar') {
      const zero: unknown = view.get(field);
      if (typeof zero === 'string') view.set(field, `é ${field.name}`);
      else if (typeof zero === 'bigint') view.set(field, 2n ** 53n + 1n);
      else if (typeof zero === 'number') view.set(field, 7);
      else if (typeof zero === 'boolean') view.set(field, true);
      else if (zero instanceof Uint8Array) view.set(field, Buffer.from([0, 255, 10]));
    }
  }
  return message;
}
