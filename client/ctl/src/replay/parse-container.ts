import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { create } from '@bufbuild/protobuf';
import type { YamlText } from '@kata-agent/analysis';
import { sharedDirectory } from '@kata-agent/catalogue';
import {
  type CopyFileRequest,
  CopyFileRequestSchema,
  type CreateContainerRequest,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import { LinuxResourcesSchema, MountSchema } from '@kata-agent/protocol/oci';
import { containerRequest } from './container-request.js';
import type { KubeletVolume } from './kubelet-volume.js';
import { parseMessage, type ScenarioContainer, type ScenarioNode } from './scenario.js';

/** The chunk size of the runtimes (Kata 4.1, kata_agent.go: grpcMaxDataSize). */
const pieceBytes = 1024 * 1024;

const regular = 0o100644;

const keys = [
  'name',
  'root',
  'readonly',
  'args',
  'env',
  'stdin',
  'terminal',
  'sharesProcesses',
  'annotations',
  'mounts',
  'storages',
  'resources',
  'copies',
];

interface ContainerOptions {
  /** The parent cgroup of the containers, in the guest. */
  readonly cgroupParent: string;
  /** The base directory of relative paths on the host. */
  readonly directory: string;
}

/** Parses one container of a scenario. Returns undefined and reports a diagnostic if it is invalid. */
export function parseContainer(
  yaml: YamlText,
  node: ScenarioNode,
  options: ContainerOptions,
): ScenarioContainer | undefined {
  const members = yaml.members(node, 'a container', keys);
  const name = yaml.text(members.get('name'), 'name');
  const root = yaml.text(members.get('root'), 'root');
  const args = parseTexts(yaml, members.get('args'), 'args');
  const stdin = yaml.text(members.get('stdin'), 'stdin', true);
  for (const key of ['name', 'root', 'args'])
    if (!members.has(key)) yaml.error('KA2004', node, `a container has no ${key}`, `add the key ${key}`);
  if (name === undefined || root === undefined) return undefined;
  const request: CreateContainerRequest = containerRequest({
    id: name,
    root,
    readonly: isTrue(yaml, members.get('readonly')),
    args,
    env: parseTexts(yaml, members.get('env'), 'env'),
    terminal: isTrue(yaml, members.get('terminal')),
    sharesProcesses: isTrue(yaml, members.get('sharesProcesses')),
    annotations: parseAnnotations(yaml, members.get('annotations')),
    mounts: yaml
      .entries(members.get('mounts'), 'mounts')
      .flatMap((entry) => parseMessage(yaml, MountSchema, entry, 'mounts') ?? []),
    storages: yaml
      .entries(members.get('storages'), 'storages')
      .flatMap((entry) => parseMessage(yaml, StorageSchema, entry, 'storages') ?? []),
    resources: parseMessage(yaml, LinuxResourcesSchema, members.get('resources'), 'resources'),
    cgroup: `${options.cgroupParent}/${name}`,
  });
  const copies = yaml
    .entries(members.get('copies'), 'copies')
    .flatMap((entry) => parseCopy(yaml, entry, options.directory));
  return { name, request, copies, ...(stdin === undefined ? {} : { stdin }) };
}

/** Parses a list of strings; reports anything else. */
export function parseTexts(yaml: YamlText, node: ScenarioNode | undefined, what: string): readonly string[] {
  return yaml.entries(node, what).flatMap((entry) => yaml.text(entry, `each of ${what}`, true) ?? []);
}

function isTrue(yaml: YamlText, node: ScenarioNode | undefined): boolean {
  if (node === undefined) return false;
  const value: unknown = yaml.value(node);
  if (typeof value !== 'boolean')
    yaml.error('KA2003', node, 'this must be true or false', 'write true or false');
  return value === true;
}

function parseAnnotations(yaml: YamlText, node: ScenarioNode | undefined): Readonly<Record<string, string>> {
  if (node === undefined) return {};
  const value: unknown = yaml.value(node);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, String(text)]));
  }
  yaml.error('KA2003', node, 'annotations must be a mapping', 'write name: value');
  return {};
}

function parseCopy(yaml: YamlText, node: ScenarioNode, directory: string): readonly CopyFileRequest[] {
  const members = yaml.members(node, 'a copy', ['to', 'text', 'from']);
  const to = yaml.text(members.get('to'), 'to');
  const text = yaml.text(members.get('text'), 'text', true);
  const from = yaml.text(members.get('from'), 'from');
  if (to === undefined || (text === undefined) === (from === undefined)) {
    yaml.error(
      'KA2003',
      node,
      'a copy needs a target, and either a text or a path on the host',
      '{to: web/hosts, text: …}',
    );
    return [];
  }
  if (from === undefined) return copyText(to, text ?? '');
  try {
    return copyTree(resolve(directory, from), to);
  } catch (error) {
    yaml.error(
      'KA2003',
      node,
      error instanceof Error ? error.message : String(error),
      'name an existing path',
    );
    return [];
  }
}

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

/** Returns the calls that write a file with this text. `to` is below the shared directory. */
function copyText(to: string, text: string, mode: number = regular): readonly CopyFileRequest[] {
  return pieces(join(sharedDirectory, to), Buffer.from(text), mode);
}

/** Returns the calls that copy a file, link or directory of the host recursively. Throws the file system's errors. */
function copyTree(from: string, to: string): readonly CopyFileRequest[] {
  return copyOf(from, join(sharedDirectory, to));
}

function copyOf(from: string, path: string): readonly CopyFileRequest[] {
  const entry = lstatSync(from);
  if (entry.isSymbolicLink()) {
    return [request(path, entry.mode, { data: Uint8Array.from(Buffer.from(readlinkSync(from))) })];
  }
  if (!entry.isDirectory()) return pieces(path, readFileSync(from), entry.mode);
  return [
    request(path, entry.mode, {}),
    ...readdirSync(from).flatMap((name) => copyOf(join(from, name), `${path}/${name}`)),
  ];
}

/** An empty file needs one chunk too. */
function pieces(path: string, content: Buffer, fileMode: number): readonly CopyFileRequest[] {
  const count = Math.max(1, Math.ceil(content.length / pieceBytes));
  return Array.from({ length: count }, (_, index) => {
    const offset = index * pieceBytes;
    const data = Uint8Array.from(content.subarray(offset, offset + pieceBytes));
    return request(path, fileMode, { data, offset: BigInt(offset), fileSize: BigInt(content.length) });
  });
}

function request(
  path: string,
  fileMode: number,
  rest: { readonly data?: Uint8Array<ArrayBuffer>; readonly offset?: bigint; readonly fileSize?: bigint },
): CopyFileRequest {
  return create(CopyFileRequestSchema, { path, fileMode, dirMode: 0o755, ...rest });
}
