import { type DescMessage, fromJson, type JsonObject, type MessageShape } from '@bufbuild/protobuf';
import type { YamlText } from '@kata-agent/analysis';

/** A node of a scenario. */
export type ScenarioNode = NonNullable<YamlText['root']>;

/** A message in proto3 JSON; names of fields may be the .proto's. Undefined when absent, or wrong, which is told. */
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
    yaml.error(node, `${what}: ${message}`, `it is a ${schema.name} as in the .proto file`);
    return undefined;
  }
}
