// Shared by the tests: a service and its messages, described at run time.
import assert from 'node:assert/strict';
import { create, createFileRegistry, type DescMessage } from '@bufbuild/protobuf';
import type { GenService } from '@bufbuild/protobuf/codegenv2';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  MessageOptionsSchema,
  DescriptorProtoSchema,
  MethodDescriptorProtoSchema,
  ServiceDescriptorProtoSchema,
  file_google_protobuf_any,
  file_google_protobuf_struct,
  file_google_protobuf_wrappers,
  type BytesValueSchema,
  type StringValueSchema,
  type StructSchema,
  type UInt32ValueSchema,
} from '@bufbuild/protobuf/wkt';

type Methods = {
  say: { methodKind: 'unary'; input: typeof StringValueSchema; output: typeof StringValueSchema };
  read: { methodKind: 'unary'; input: typeof UInt32ValueSchema; output: typeof BytesValueSchema };
  store: { methodKind: 'unary'; input: typeof StructSchema; output: typeof UInt32ValueSchema };
  count: {
    methodKind: 'server_streaming';
    input: typeof UInt32ValueSchema;
    output: typeof UInt32ValueSchema;
  };
  sum: { methodKind: 'client_streaming'; input: typeof UInt32ValueSchema; output: typeof UInt32ValueSchema };
  chat: { methodKind: 'bidi_streaming'; input: typeof StringValueSchema; output: typeof StringValueSchema };
};

function method(
  name: string,
  input: string,
  output: string,
  clientStreaming = false,
  serverStreaming = false,
) {
  return create(MethodDescriptorProtoSchema, {
    name,
    inputType: `.google.protobuf.${input}`,
    outputType: `.google.protobuf.${output}`,
    clientStreaming,
    serverStreaming,
  });
}

function field(
  name: string,
  number: number,
  type: keyof typeof FieldDescriptorProto_Type,
  { repeated = false, packed = true, typeName = '' } = {},
) {
  return create(FieldDescriptorProtoSchema, {
    name,
    number,
    type: FieldDescriptorProto_Type[type],
    label: FieldDescriptorProto_Label[repeated ? 'REPEATED' : 'OPTIONAL'],
    ...(typeName === '' ? {} : { typeName }),
    ...(repeated && !packed ? { options: create(FieldOptionsSchema, { packed }) } : {}),
  });
}

/** A message with a field of each kind that the scan distinguishes. */
const rich = create(DescriptorProtoSchema, {
  name: 'Rich',
  field: [
    field('id', 1, 'STRING'),
    field('blob', 2, 'BYTES'),
    field('other_blob', 3, 'BYTES'),
    field('count', 4, 'INT64'),
    field('ratio', 5, 'DOUBLE'),
    field('flag', 6, 'BOOL'),
    field('small', 7, 'FIXED32'),
    field('child', 8, 'MESSAGE', { typeName: '.demo.Rich' }),
    field('children', 9, 'MESSAGE', { typeName: '.demo.Rich', repeated: true }),
    field('names', 10, 'STRING', { repeated: true }),
    field('numbers', 11, 'INT32', { repeated: true }),
    field('loose', 12, 'SINT32', { repeated: true, packed: false }),
    field('words', 13, 'FIXED64', { repeated: true }),
    field('floats', 14, 'FLOAT', { repeated: true }),
    field('labels', 15, 'MESSAGE', { typeName: '.demo.Rich.LabelsEntry', repeated: true }),
    field('parts', 16, 'MESSAGE', { typeName: '.demo.Rich.PartsEntry', repeated: true }),
    field('far', 1000, 'UINT32'),
  ],
  nestedType: [
    create(DescriptorProtoSchema, {
      name: 'LabelsEntry',
      field: [field('key', 1, 'STRING'), field('value', 2, 'STRING')],
      options: create(MessageOptionsSchema, { mapEntry: true }),
    }),
    create(DescriptorProtoSchema, {
      name: 'PartsEntry',
      field: [field('key', 1, 'INT32'), field('value', 2, 'MESSAGE', { typeName: '.demo.Rich' })],
      options: create(MessageOptionsSchema, { mapEntry: true }),
    }),
  ],
});

/** ttRPC's envelopes, as in its request.proto: the reference for the hand-written code. */
const envelopes = [
  create(DescriptorProtoSchema, {
    name: 'Request',
    field: [
      field('service', 1, 'STRING'),
      field('method', 2, 'STRING'),
      field('payload', 3, 'BYTES'),
      field('timeout_nano', 4, 'INT64'),
      field('metadata', 5, 'MESSAGE', { typeName: '.demo.KeyValue', repeated: true }),
    ],
  }),
  create(DescriptorProtoSchema, {
    name: 'KeyValue',
    field: [field('key', 1, 'STRING'), field('value', 2, 'STRING')],
  }),
  create(DescriptorProtoSchema, {
    name: 'Response',
    field: [field('status', 1, 'MESSAGE', { typeName: '.demo.Status' }), field('payload', 2, 'BYTES')],
  }),
  create(DescriptorProtoSchema, {
    name: 'Status',
    field: [
      field('code', 1, 'INT32'),
      field('message', 2, 'STRING'),
      field('details', 3, 'MESSAGE', { typeName: '.google.protobuf.Any', repeated: true }),
    ],
  }),
];

const file = create(FileDescriptorProtoSchema, {
  name: 'demo.proto',
  package: 'demo',
  syntax: 'proto3',
  dependency: ['google/protobuf/any.proto', 'google/protobuf/wrappers.proto', 'google/protobuf/struct.proto'],
  messageType: [rich, ...envelopes],
  service: [
    create(ServiceDescriptorProtoSchema, {
      name: 'Demo',
      method: [
        method('Say', 'StringValue', 'StringValue'),
        method('Read', 'UInt32Value', 'BytesValue'),
        method('Store', 'Struct', 'UInt32Value'),
        method('Count', 'UInt32Value', 'UInt32Value', false, true),
        method('Sum', 'UInt32Value', 'UInt32Value', true, false),
        method('Chat', 'StringValue', 'StringValue', true, true),
      ],
    }),
  ],
});

const imports = [file_google_protobuf_any, file_google_protobuf_struct, file_google_protobuf_wrappers];
const registry = createFileRegistry(file, (path) => imports.find(({ name }) => `${name}.proto` === path));
const descriptor = registry.getService('demo.Demo');
assert.ok(descriptor);

export const Demo = descriptor as GenService<Methods>;
export const Rich: DescMessage = messageOf('Rich');
export const RequestMessage: DescMessage = messageOf('Request');
export const ResponseMessage: DescMessage = messageOf('Response');

function messageOf(name: string): DescMessage {
  const message = registry.getMessage(`demo.${name}`);
  assert.ok(message);
  return message;
}
