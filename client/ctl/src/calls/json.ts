import { type DescMessage, fromJson, type JsonValue, type Message, toJson } from '@bufbuild/protobuf';
import { CommandError, ExitCode } from '@kata-agent/cli';

/**
 * Parses a request from JSON: field names as in the .proto file (`container_id`) or in lowerCamelCase, `bytes` in
 * base64, 64-bit numbers as numbers or strings. An unknown field is an error, so that a misspelt field is not silently
 * dropped. Throws a CommandError (wrong use).
 */
export function messageFromJson(schema: DescMessage, text: string, source: string): Message {
  const value = parseJson(text, source);
  try {
    return fromJson(schema, value);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.Usage, `${source}: ${message}`, {
      help: [`pass a ${schema.name}; print a template: kata-agent-ctl call METHOD --template`],
      cause: error,
    });
  }
}

/** Returns a reply as JSON, with field names as in the .proto file. Fields with default values are included. */
export function messageToJson(schema: DescMessage, message: Message): JsonValue {
  return toJson(schema, message, { useProtoFieldName: true, alwaysEmitImplicit: true });
}

function parseJson(text: string, source: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.Usage, `${source} is not valid JSON: ${message}`, { cause: error });
  }
}
