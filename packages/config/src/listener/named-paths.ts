import type { NamedFile } from './listener.js';
import { decodeDocument } from '../document/decode-document.js';
import { parseToml } from '../toml/parse-toml.js';
import type { TomlTable, TomlValue } from '../toml/toml-value.js';
import { isPemText } from '../value-types/pem-source.js';
import { pemKey } from './named-files.js';
import { tlsPemKeys } from './tls-keys.js';

/**
 * Returns the files that a base document names, sorted by key: they are measured with it. The document is not checked; one
 * that is not TOML names none.
 */
export function namedPaths(bytes: Uint8Array): readonly Pick<NamedFile, 'key' | 'file'>[] {
  const decoded = decodeDocument(bytes, '');
  const toml = decoded.ok ? parseToml(decoded.source) : undefined;
  if (toml?.ok !== true) return [];
  const listeners = toml.root.entries.get('listener')?.value;
  const tables = listeners?.kind === 'array' ? listeners.items.filter(isTable) : [];
  return tables.flatMap(pathsOf).toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

function pathsOf(listener: TomlTable): readonly Pick<NamedFile, 'key' | 'file'>[] {
  const name = textOf(listener.entries.get('name')?.value);
  const tls = listener.entries.get('tls')?.value;
  if (name === undefined || tls?.kind !== 'table') return [];
  return (Object.keys(tlsPemKeys) as (keyof typeof tlsPemKeys)[]).flatMap((kind) => {
    const file = textOf(tls.entries.get(tlsPemKeys[kind])?.value);
    return file === undefined || isPemText(file) ? [] : [{ key: pemKey(name, kind), file }];
  });
}

function textOf(value: TomlValue | undefined): string | undefined {
  return value?.kind === 'string' ? value.value : undefined;
}

function isTable(value: TomlValue): value is TomlTable {
  return value.kind === 'table';
}
