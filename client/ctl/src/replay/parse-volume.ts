import type { YamlText } from '@kata-agent/analysis';
import type { KubeletVolume } from './kubelet-volume.js';
import type { ScenarioNode } from './parse-message.js';

/** A directory of the host and the texts of its files. */
export function parseVolume(yaml: YamlText, node: ScenarioNode): KubeletVolume | undefined {
  const members = yaml.members(node, 'a volume', ['directory', 'files']);
  const directory = yaml.text(members.get('directory'), 'directory');
  const listed = members.get('files');
  const files: unknown = listed === undefined ? undefined : yaml.value(listed);
  if (directory === undefined || !isTexts(files)) {
    yaml.error(
      'KA2003',
      node,
      'a volume needs a directory, and files with their texts',
      'files: {greeting: hello}',
    );
    return undefined;
  }
  return { directory, files };
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => typeof text === 'string')
  );
}
