import type { YamlText } from '@kata-agent/analysis';
import type { KubeletVolume } from './kubelet-volume.js';
import type { ScenarioNode } from './parse-message.js';

/** A folder of the host and the texts of its files. */
export function parseVolume(yaml: YamlText, node: ScenarioNode): KubeletVolume | undefined {
  const members = yaml.members(node, 'a volume', ['folder', 'files']);
  const folder = yaml.text(members.get('folder'), 'folder');
  const listed = members.get('files');
  const files: unknown = listed === undefined ? undefined : yaml.value(listed);
  if (folder === undefined || !isTexts(files)) {
    yaml.error(node, 'a volume has a folder, and files with their texts', 'files: {greeting: hello}');
    return undefined;
  }
  return { folder, files };
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => typeof text === 'string')
  );
}
