import type { NamedFile } from '../listener.js';
import { decodeDocument } from '../document/decode-document.js';
import { parseToml } from '../toml/parse-toml.js';
import type { TomlTable, TomlValue } from '../toml/toml-value.js';
import { isJsonText } from '../value-types/json-source.js';
import { isPemText } from '../value-types/pem-source.js';
import { isResource } from '../value-types/resource-or-path.js';
import {
  credentialsKey,
  pemKey,
  registryCaKey,
  signatureKeyKey,
  trustedRootKey,
  witnessCaKey,
} from './named-files.js';
import { tlsPemKeys } from '../listener/tls-keys.js';

/**
 * Returns the files that a base document names, sorted by key: they are measured with it. The document is not checked; one
 * that is not TOML names none.
 */
export function namedPaths(bytes: Uint8Array): readonly Pick<NamedFile, 'key' | 'file'>[] {
  const decoded = decodeDocument(bytes, '');
  const toml = decoded.ok ? parseToml(decoded.source) : undefined;
  if (toml?.ok !== true) return [];
  const audit = toml.root.entries.get('audit')?.value;
  const witnesses = audit?.kind === 'table' ? tablesOf(audit.entries.get('witness')?.value) : [];
  return [
    ...tablesOf(toml.root.entries.get('listener')?.value).flatMap(pathsOf),
    ...witnesses.flatMap(pathsOfWitness),
    ...pathsOfImage(toml.root.entries.get('image')?.value),
  ].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

function tablesOf(value: TomlValue | undefined): readonly TomlTable[] {
  return value?.kind === 'array' ? value.items.filter(isTable) : [];
}

function pathsOfWitness(witness: TomlTable): readonly Pick<NamedFile, 'key' | 'file'>[] {
  const [key, file] = ['key', 'ca'].map((name) => textOf(witness.entries.get(name)?.value));
  if (key === undefined || file === undefined || isPemText(file)) return [];
  return [{ key: witnessCaKey(key.slice(0, key.indexOf('+'))), file }];
}

function pathsOfImage(image: TomlValue | undefined): readonly Pick<NamedFile, 'key' | 'file'>[] {
  if (image?.kind !== 'table') return [];
  const ca = textOf(image.entries.get('registry_ca')?.value);
  const credentials = textOf(image.entries.get('credentials')?.value);
  const signatures = image.entries.get('signatures')?.value;
  const keys = tablesOf(signatures).flatMap((entry, number) => {
    const list = entry.entries.get('keys')?.value;
    return [
      ...(list?.kind === 'array' ? list.items : []).map((item, index) => ({
        key: signatureKeyKey(number, index),
        file: textOf(item),
      })),
      { key: trustedRootKey(number), file: textOf(entry.entries.get('trusted_root')?.value) },
    ];
  });
  return [
    { key: registryCaKey, file: ca },
    {
      key: credentialsKey,
      file: credentials === undefined || isResource(credentials) ? undefined : credentials,
    },
    ...keys,
  ].flatMap(({ key, file }) =>
    file === undefined || isPemText(file) || isJsonText(file) ? [] : [{ key, file }],
  );
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
