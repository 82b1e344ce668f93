import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { NamedFile } from '../listener.js';
import { decodeDocument } from '../document/decode-document.js';
import { parseToml } from '../toml/parse-toml.js';
import type { TomlTable, TomlValue } from '../toml/toml-value.js';
import { isJsonText, isPemText, isResource } from '../value-types/sources.js';
import {
  credentialsKey,
  pemKey,
  registryCaKey,
  signatureKeyKey,
  trustedRootKey,
  witnessCaKey,
} from './named-files.js';
import { tlsPemKeys } from '../listener/listener-keys.js';

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

/**
 * Returns the place of a guest's file below a root on this machine. Throws an Error if a part of it is a symbolic link, which
 * would lead elsewhere here than in the guest, or if it does not exist.
 *
 * @param path absolute, without `.` and `..`, as the settings accept it.
 */
export function pathInRoot(root: string, path: string): string {
  let place = root;
  for (const part of path.split('/').filter((each) => each !== '')) {
    place = join(place, part);
    if (lstatSync(place).isSymbolicLink())
      throw new Error(
        `${place} is a symbolic link, which leads elsewhere than in the guest: name the file itself`,
      );
  }
  return place;
}

/**
 * Reports whether a base document has sources of evidence: the registers then get the keys of the start as well. The document is
 * not checked; one that is not TOML has none.
 */
export function hasEvidence(bytes: Uint8Array): boolean {
  const decoded = decodeDocument(bytes, '');
  const toml = decoded.ok ? parseToml(decoded.source) : undefined;
  const evidence = toml?.ok === true ? toml.root.entries.get('evidence')?.value : undefined;
  const sources = evidence?.kind === 'table' ? evidence.entries.get('sources')?.value : undefined;
  return sources?.kind === 'array' && sources.items.length > 0;
}
