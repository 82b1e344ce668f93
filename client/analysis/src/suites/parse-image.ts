import { isMessage, type Message } from '@bufbuild/protobuf';
import { programWithoutRoot, type RuleImage, type RuleImageConfig } from '@kata-agent/gate';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { Node } from 'yaml';
import type { YamlText } from './yaml-text.js';

const origins = ['host', 'pause_bundle', 'pulled'] as const;
const configKeys = ['entrypoint', 'cmd', 'env', 'user', 'working_dir', 'volumes', 'stop_signal'];

/** Parses the image of a case, in the names that rules use; undefined if it is invalid. */
export function parseImage(yaml: YamlText, node: Node | undefined): RuleImage | undefined {
  const members = yaml.members(node, 'image', ['from', 'reference', 'digest', 'manifest_digest', 'config']);
  const from = members.has('from') ? yaml.oneOf(members.get('from'), 'from', origins) : 'pulled';
  const reference = yaml.text(members.get('reference'), 'reference');
  const digest = yaml.text(members.get('digest'), 'digest');
  const manifestDigest = yaml.text(members.get('manifest_digest'), 'manifest_digest');
  const config = members.has('config') ? parseConfig(yaml, members.get('config')) : undefined;
  if (from === undefined) return undefined;
  return {
    from,
    ...(reference === undefined ? {} : { reference }),
    ...(digest === undefined ? {} : { digest }),
    ...(manifestDigest === undefined ? {} : { manifestDigest }),
    ...(config === undefined ? {} : { config }),
  };
}

function parseConfig(yaml: YamlText, node: Node | undefined): RuleImageConfig {
  const members = yaml.members(node, 'config', configKeys);
  const text = (key: string): string => yaml.text(members.get(key), key, true) ?? '';
  const texts = (key: string): readonly string[] =>
    yaml
      .entries(members.get(key), key)
      .flatMap((entry) => yaml.text(entry, `an entry of ${key}`, true) ?? []);
  return {
    entrypoint: texts('entrypoint'),
    cmd: texts('cmd'),
    env: texts('env'),
    user: text('user'),
    workingDir: text('working_dir'),
    volumes: texts('volumes'),
    stopSignal: text('stop_signal'),
  };
}

/** Adds what is known of the program of the request without the root of the image. */
export function withProgram(image: RuleImage, request: Message): RuleImage {
  if (image.config === undefined || !isMessage(request, CreateContainerRequestSchema)) return image;
  return { ...image, program: programWithoutRoot(request, image.config) };
}
