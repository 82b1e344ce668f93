import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type DescMessage, equals, fromBinary, toBinary } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { CopyFileRequestSchema, ReadStreamResponseSchema } from '@kata-agent/protocol/agent';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { calls, findCall } from './calls.js';
import { messageFromJson, messageToJson } from './json.js';
import { requestTemplate } from './template.js';

test('all 42 methods and both of Health can be called', () => {
  assert.equal(calls.size, 44);
  assert.equal(findCall('ExecProcess').input.typeName, 'grpc.ExecProcessRequest');
  assert.equal(findCall('Health.Check').parent.typeName, 'grpc.Health');
});

test('a name that does not exist proposes the nearest', () => {
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
        error.help.includes(`Did you mean ${meant}?`),
      typed,
    );
  }
});

test('a name like no other gets no proposal', () => {
  assert.throws(
    () => findCall('Frobnicate'),
    (error: unknown) => error instanceof CommandError && !error.help.join().includes('Did you mean'),
  );
});

test('each template is a valid request and names each field once', () => {
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

test('for each method, request and reply survive the way to JSON and back', () => {
  for (const [name, method] of calls) {
    for (const schema of [method.input, method.output]) {
      const message = filled(schema);
      const text = JSON.stringify(messageToJson(schema, message));
      const back = messageFromJson(schema, text, name);
      assert.ok(equals(schema, message, back), `${name}: ${text}`);
    }
  }
});

test('JSON that is no request is wrong use and says where it came from', () => {
  const schema = CopyFileRequestSchema;
  for (const [text, says] of [
    ['{', /@f\.json is not JSON/],
    ['[]', /@f\.json: .*CopyFileRequest/],
    ['{"paht": "/x"}', /paht/],
    ['{"file_size": "many"}', /file_size/],
  ] as const) {
    assert.throws(
      () => messageFromJson(schema, text, '@f.json'),
      (error: unknown) =>
        error instanceof CommandError && error.exitCode === ExitCode.Usage && says.test(error.message),
      text,
    );
  }
});

test('names may be the .proto’s or lowerCamelCase; bytes are base64; 64-bit numbers may be text', () => {
  const schema = CopyFileRequestSchema;
  const request = create(schema, { path: '/x', fileSize: 2n ** 40n, data: Buffer.from('hi') });
  for (const text of [
    '{"path": "/x", "file_size": 1099511627776, "data": "aGk="}',
    '{"path": "/x", "fileSize": "1099511627776", "data": "aGk="}',
  ]) {
    assert.ok(equals(schema, request, messageFromJson(schema, text, 'argument') as typeof request));
  }
});

test('a reply shows fields with default values too', () => {
  const reply = create(ReadStreamResponseSchema, {});
  assert.deepEqual(messageToJson(ReadStreamResponseSchema, reply), { data: '' });
});

/** A message with a value other than the default in each scalar field, one level of sub-messages deep. */
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
