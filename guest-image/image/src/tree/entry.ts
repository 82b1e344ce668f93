// Entries of an image's file system.

interface EntryPath {
  /** The absolute path in the guest. */
  readonly path: string;
}

/** The properties that distinguish the kinds of entries. */
interface KindProperties {
  readonly directory?: undefined;
  readonly link?: undefined;
  readonly device?: undefined;
  readonly data?: undefined;
}

export interface DirectoryEntry extends EntryPath, Omit<KindProperties, 'directory'> {
  readonly directory: true;
}

export interface LinkEntry extends EntryPath, Omit<KindProperties, 'link'> {
  /** The target of the symbolic link. */
  readonly link: string;
}

export interface DeviceEntry extends EntryPath, Omit<KindProperties, 'device'> {
  /** The numbers of the character device. */
  readonly device: readonly [major: number, minor: number];
  readonly mode: number;
}

export interface FileEntry extends EntryPath, Omit<KindProperties, 'data'> {
  readonly data: Buffer;
  /** The permission bits. */
  readonly mode: number;
}

export type Entry = DirectoryEntry | LinkEntry | DeviceEntry | FileEntry;

/** An entry with the part that it belongs to (packages/parts.ts). */
export type PartEntry = Entry & { readonly part: string };
