import { type DescMessage, fromJson, type JsonObject, type MessageShape } from '@bufbuild/protobuf';
import type { YamlText } from '@kata-agent/analysis';

/** A node of a scenario. */
export type ScenarioNode = NonNullable<YamlText['root']>;

/**
 * Parses a message from proto3 JSON; field names can be those of the .proto file. Returns undefined if it is absent,
 * or invalid, which is reported.
 */
export function parseMessage<T extends DescMessage>(
  yaml: YamlText,
  schema: T,
  node: ScenarioNode | undefined,
  what: string,
): MessageShape<T> | undefined {
  if (node === undefined) return undefined;
  try {
    return fromJson(schema, yaml.value(node) as JsonObject);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    yaml.error('KA2006', node, `${what}: ${message}`, `write a ${schema.name} as in the .proto file`);
    return undefined;
  }
}
