import {
  type DescField,
  type DescMessage,
  type DescMethodUnary,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  ScalarType,
  toJson,
} from '@bufbuild/protobuf';
import { nearest } from '@kata-agent/config';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { CommandError, ExitCode } from '@kata-agent/cli';

/**
 * All methods that an agent can serve, by the name that users type: methods of `grpc.AgentService` by their own name,
 * those of `grpc.Health` as `Health.Check` and `Health.Version`.
 */
export const calls: ReadonlyMap<string, DescMethodUnary> = new Map<string, DescMethodUnary>([
  ...Object.values(AgentService.method).map((method) => [method.name, method] as const),
  ...Object.values(Health.method).map((method) => [`Health.${method.name}`, method] as const),
]);

/** Returns the method with this name. Throws a CommandError (wrong use) that suggests the nearest name. */
export function findCall(name: string): DescMethodUnary {
  const method = calls.get(name);
  if (method !== undefined) return method;
  const guess = nearest(name.replace(/Request$/i, ''), [...calls.keys()]);
  const proposal = guess === undefined ? [] : [`did you mean ${guess}?`];
  throw new CommandError(ExitCode.Usage, `unknown method '${name}'`, {
    help: [...proposal, 'list all methods: kata-agent-ctl endpoints'],
  });
}

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

/**
 * Returns a request with every field at its default, named as in the .proto file, for the user to fill in. Lists and
 * maps of messages have one element that shows their shape; a oneof has only its first member, since two members are
 * invalid.
 */
export function requestTemplate(schema: DescMessage): JsonObject {
  const result: JsonObject = {};
  for (const field of schema.fields) {
    if (field.oneof !== undefined && field.oneof.fields[0] !== field) continue;
    result[field.name] = fieldTemplate(field);
  }
  return result;
}

function fieldTemplate(field: DescField): JsonValue {
  switch (field.fieldKind) {
    case 'message':
      return requestTemplate(field.message);
    case 'list':
      return field.listKind === 'message' ? [requestTemplate(field.message)] : [];
    case 'map':
      return field.mapKind === 'message' ? { name: requestTemplate(field.message) } : {};
    case 'enum':
      return field.enum.values[0]?.name ?? 0;
    case 'scalar':
      return scalarTemplate(field.scalar);
  }
}

function scalarTemplate(scalar: ScalarType): JsonValue {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return '';
    case ScalarType.BOOL:
      return false;
    default:
      return 0;
  }
}
