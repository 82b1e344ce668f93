import { type DescMessage, fromJson, type JsonValue, type Message, toJson } from '@bufbuild/protobuf';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';

/**
 * A request from the JSON that people write: fields by their names in the .proto file (`container_id`) or in
 * lowerCamelCase, `bytes` in base64, 64-bit numbers as numbers or text. An unknown field is an error, so that a
 * misspelt one is not sent as nothing. Throws a CommandError (wrong use).
 */
export function messageFromJson(schema: DescMessage, text: string, source: string): Message {
  const value = parseJson(text, source);
  try {
    return fromJson(schema, value);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.Usage, `${source}: ${message}`, {
      help: [`It has to be a ${schema.name}; print one to fill in: kata-agent-ctl call METHOD --template`],
      cause: error,
    });
  }
}

/** A reply as JSON, fields by their names in the .proto file, those with default values too: a zero is an answer. */
export function messageToJson(schema: DescMessage, message: Message): JsonValue {
  return toJson(schema, message, { useProtoFieldName: true, alwaysEmitImplicit: true });
}

function parseJson(text: string, source: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.Usage, `${source} is not JSON: ${message}`, { cause: error });
  }
}
