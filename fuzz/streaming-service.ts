import { create, createFileRegistry, type DescService } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** Methods of fuzz.Streams, one for each streaming mode. Requests and replies are fuzz.Text. */
export const streamingMethods = ['Unary', 'Client', 'Server', 'Both'] as const;

/** A service with a method for each streaming mode, defined at run time: Kata's own services do not stream. */
export function streamingService(): DescService {
  const method = (name: string, clientStreaming: boolean, serverStreaming: boolean) => ({
    name,
    inputType: '.fuzz.Text',
    outputType: '.fuzz.Text',
    clientStreaming,
    serverStreaming,
  });
  const file = {
    name: 'fuzz.proto',
    package: 'fuzz',
    syntax: 'proto3',
    messageType: [
      { name: 'Text', field: [{ name: 'text', number: 1, type: 9, label: 1, jsonName: 'text' }] },
    ],
    service: [
      {
        name: 'Streams',
        method: [
          method('Unary', false, false),
          method('Client', true, false),
          method('Server', false, true),
          method('Both', true, true),
        ],
      },
    ],
  };
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));
  const descriptor = registry.getService('fuzz.Streams');
  if (descriptor === undefined) throw new Error('fuzz.Streams was not registered');
  return descriptor;
}
