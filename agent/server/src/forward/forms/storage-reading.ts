// What the readers of all storage drivers have in common.
import type { Storage } from '@kata-agent/protocol/agent';
import type { FormContext } from './forwarded-sandbox.js';
import { hasControl, quoted, refused } from './values.js';

/** The request that a storage is part of. */
export interface StorageOwner {
  /** Undefined: the sandbox. */
  readonly container: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  /** All storages of the request. */
  readonly storages: readonly Storage[];
  /** `OCI.Root.Path` of the request. */
  readonly rootPath?: string;
}

export interface StorageReading extends StorageOwner {
  readonly storage: Storage;
  /** `storages[2]` */
  readonly at: string;
  readonly context: FormContext;
}

/** The parts of a storage in one driver's form. */
export interface StorageParts {
  readonly source: string;
  readonly fstype: string;
  readonly options: readonly string[];
  readonly driverOptions?: readonly string[];
  readonly fsGroup?: Storage['fsGroup'];
  readonly shared?: boolean;
  readonly disk?: string;
}

/** Refuses what a driver does not read. */
export function checkUnused(
  { storage, at }: StorageReading,
  ...used: readonly ('driver_options' | 'fs_group' | 'shared')[]
): void {
  const { driverOptions, fsGroup, shared } = storage;
  const found = Object.entries({
    driver_options: driverOptions.length > 0,
    fs_group: fsGroup !== undefined,
    shared,
  }).find(([name, isSet]) => isSet && !(used as readonly string[]).includes(name));
  if (found !== undefined)
    throw refused(`${at}.${found[0]}`, `no runtime sets it for driver ${storage.driver}`);
}

export function checkSource({ storage, at }: StorageReading, source: string, fstype: string): void {
  if (storage.source !== source)
    throw refused(`${at}.source`, `${quoted(storage.source)} is not "${source}"`);
  if (storage.fstype !== fstype)
    throw refused(`${at}.fstype`, `${quoted(storage.fstype)} of driver ${storage.driver} is not "${fstype}"`);
}

export function wrongPlace({ storage, at }: StorageReading, where: string): Error {
  return refused(
    `${at}.mount_point`,
    `${quoted(storage.mountPoint)} is not where Kata's runtimes mount driver ${storage.driver}: ${where}`,
  );
}

export function checkOptions(
  { storage, at }: StorageReading,
  known: (option: string) => boolean,
): readonly string[] {
  const strange = storage.options.find((option) => hasControl(option) || !known(option));
  if (strange !== undefined)
    throw refused(`${at}.options`, `${quoted(strange)} is not an option that both agents read alike here`);
  return storage.options;
}

export function sourceAndType({ source, fstype }: Storage): {
  readonly source: string;
  readonly fstype: string;
} {
  return { source, fstype };
}

/** An option with a group of files; 4294967295 means "unchanged". */
export function isGroup(option: string): boolean {
  return /^fsgid=(?:0|[1-9]\d{0,9})$/.test(option) && Number(option.slice('fsgid='.length)) < 2 ** 32 - 1;
}
