import { existsSync, readFileSync } from 'node:fs';
import {
  describeToml,
  parseToml,
  renderDiagnostic,
  type TomlTable,
  type TomlValue,
} from '@kata-agent/config';
import { decodeDocument } from '@kata-agent/config/entries';
import { join } from 'node:path';
import { CannotApply } from '../cannot-apply.js';
import { type Component, extensionRoot } from './load-guest-components.js';

/** The components that an extension image brings, and paths in it. */
export interface Manifest {
  /** Absolute paths, by name. */
  readonly paths: ReadonlyMap<string, string>;
  /** Returns the components up to a level, in order. @throws CannotApply */
  readonly plan: (level: number, variables: Variables) => readonly Component[];
}

/**
 * Parses the manifest of an extension image (Kata 4.1, src/agent/src/guest_extension_image.rs). As Kata's agent, it ignores keys that
 * it does not know.
 *
 * @param root where the image is mounted: paths are below it.
 * @throws CannotApply
 */
function parseManifest(bytes: Uint8Array, file: string, root: string): Manifest {
  const table = tableOf(bytes, file);
  const version = table.entries.get('schema_version')?.value;
  if (version?.kind !== 'integer' || version.value !== 1n)
    throw new CannotApply(`${file}: schema_version must be 1, not ${describe(version)}`, {
      help: 'use an extension image for this agent',
    });
  const at = (path: string, what: string): string => placeBelow(root, path, `${file}: ${what}`);
  const paths = new Map(
    Object.entries(textsOf(table.entries.get('paths')?.value, `${file}: paths`)).map(([name, path]) => [
      name,
      at(path, `path ${name}`),
    ]),
  );
  const processes = tables(table.entries.get('process')?.value, `${file}: process`);
  return {
    paths,
    plan: (level, variables) =>
      processes
        .filter((process) => isStarted(process, level, file))
        .map((process) => componentOf(process, variables, { file, at })),
  };
}

function tableOf(bytes: Uint8Array, file: string): TomlTable {
  const decoded = decodeDocument(bytes, file);
  const toml = decoded.ok ? parseToml(decoded.source) : decoded;
  if (toml.ok) return toml.root;
  throw new CannotApply(renderDiagnostic(toml.diagnostic));
}

function isStarted(process: TomlTable, level: number, file: string): boolean {
  const value = process.entries.get('level')?.value;
  if (value === undefined) return false;
  if (value.kind !== 'integer')
    throw new CannotApply(`${file}: level must be a number, not ${describe(value)}`);
  return value.value > 0n && value.value <= BigInt(level);
}

/** A process after its variant was chosen, before substitution. */
interface Chosen {
  readonly path: string | undefined;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

function componentOf(
  process: TomlTable,
  variables: Variables,
  { file, at }: { readonly file: string; readonly at: (path: string, what: string) => string },
): Component {
  const id = textOf(process, 'id', file);
  if (id === undefined) throw new CannotApply(`${file}: a process has no id`);
  const where = `${file}: process ${id}`;
  const of = (template: string): string => substitute(template, variables, where);
  const optionalOf = (key: string): string | undefined => {
    const text = textOf(process, key, where);
    return text === undefined ? undefined : of(text) || undefined;
  };
  const variant = variantOf(process, optionalOf('select'), where);
  const path = variant.path ?? textOf(process, 'path', where);
  if (path === undefined) throw new CannotApply(`${where} has no path`);
  const optional = tables(process.entries.get('optional_args')?.value, `${where}: optional_args`)
    .filter((group) => Boolean(variables[textOf(group, 'when', where) ?? '']))
    .flatMap((group) => listOf(group, 'args', where));
  const env = { ...textsOf(process.entries.get('env')?.value, `${where}: env`), ...variant.env };
  return {
    id,
    path: at(of(path), `process ${id}`),
    args: [...listOf(process, 'args', where), ...optional, ...variant.args].map(of),
    config: optionalOf('config'),
    env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, of(value)])),
    waitSocket: optionalOf('wait_socket'),
    timeoutMs: seconds(optionalOf('timeout_secs'), where) * 1000,
  };
}

function variantOf(process: TomlTable, selected: string | undefined, where: string): Chosen {
  const variants = process.entries.get('variants')?.value;
  if (variants === undefined) return { path: undefined, args: [], env: {} };
  if (variants.kind !== 'table')
    throw new CannotApply(`${where}: variants must be a table, not ${describe(variants)}`);
  if (variants.entries.size === 0) return { path: undefined, args: [], env: {} };
  const name = selected ?? 'default';
  const variant = variants.entries.get(name)?.value;
  if (variant?.kind !== 'table') {
    const known = [...variants.entries.keys()].join(', ');
    throw new CannotApply(`${where} has no variant ${JSON.stringify(name)}`, { help: `it has ${known}` });
  }
  return {
    path: textOf(variant, 'path', where),
    args: listOf(variant, 'args', where),
    env: textsOf(variant.entries.get('env')?.value, `${where}: env`),
  };
}

function placeBelow(root: string, path: string, what: string): string {
  const words = path
    .trim()
    .split('/')
    .filter((word) => word !== '' && word !== '.');
  if (words.length === 0 || words.includes('..'))
    throw new CannotApply(`${what}: ${JSON.stringify(path)} is not a path in the image`);
  return join(root, ...words);
}

function seconds(text: string | undefined, where: string): number {
  if (text === undefined) return 0;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new CannotApply(`${where}: timeout_secs must be a number of seconds, not ${JSON.stringify(text)}`);
}

function textOf(table: TomlTable, key: string, where: string): string | undefined {
  const value = table.entries.get(key)?.value;
  if (value === undefined) return undefined;
  if (value.kind === 'string') return value.value;
  throw new CannotApply(`${where}: ${key} must be a text, not ${describe(value)}`);
}

function listOf(table: TomlTable, key: string, where: string): readonly string[] {
  const value = table.entries.get(key)?.value;
  if (value === undefined) return [];
  const items = value.kind === 'array' ? value.items : [value];
  return items.map((item) => {
    if (value.kind === 'array' && item.kind === 'string') return item.value;
    throw new CannotApply(`${where}: ${key} must be a list of texts, not ${describe(item)}`);
  });
}

function textsOf(value: TomlValue | undefined, where: string): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (value.kind !== 'table') throw new CannotApply(`${where} must be a table, not ${describe(value)}`);
  return Object.fromEntries(
    Array.from(value.entries, ([name, { value: item }]) => {
      if (item.kind === 'string') return [name, item.value];
      throw new CannotApply(`${where}: ${name} must be a text, not ${describe(item)}`);
    }),
  );
}

function tables(value: TomlValue | undefined, where: string): readonly TomlTable[] {
  if (value === undefined) return [];
  const items = value.kind === 'array' ? value.items : [value];
  return items.map((item) => {
    if (value.kind === 'array' && item.kind === 'table') return item;
    throw new CannotApply(`${where} must be a list of tables, not ${describe(item)}`);
  });
}

function describe(value: TomlValue | undefined): string {
  return value === undefined ? 'missing' : describeToml(value);
}

/** Values that a manifest can name as `${NAME}`. */
type Variables = Readonly<Record<string, string>>;

/** Replaces each `${NAME}`. @throws CannotApply for a name that is not known, or without its end. */
function substitute(template: string, variables: Variables, where: string): string {
  return template.replaceAll(/\$\{([^}]*)(\}?)/g, (_, name: string, end: string) => {
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (end === '' || value === undefined) {
      const known = Object.keys(variables).join(', ');
      throw new CannotApply(`${where}: ${JSON.stringify(`\${${name}${end}`)} is not a variable`, {
        help: `use one of ${known}`,
      });
    }
    return value;
  });
}

/**
 * Reads the manifest of the extension image; undefined: there is none, and the components are those of the guest image.
 *
 * @throws CannotApply if the image has no manifest, or a wrong one: other programs would be started than it brings.
 */
export function readExtension(): Manifest | undefined {
  const root = extensionRoot;
  if (!existsSync(root)) return undefined;
  const file = join(root, 'etc/kata-extensions/components.toml');
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new CannotApply(
      `the extension image at ${root} has no readable manifest: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
        help: 'remove it from guest_extension_images, or build it with etc/kata-extensions/components.toml',
      },
    );
  }
  return parseManifest(bytes, file, root);
}
