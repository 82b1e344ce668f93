import type { TarEntry } from '@kata-agent/registry/tar';
import type { FileTime } from '@kata-agent/linux';
import { LayerError, quoted } from './layer-error.js';
import type { UnpackLimits } from './budget.js';

/** NAME_MAX. */
const componentLength = 255;

/** struct vfs_cap_data: version 2 has 20 bytes; version 3 has a root user too. */
const capabilityForms: ReadonlyMap<number, number> = new Map([
  [20, 0x02000000],
  [24, 0x03000000],
]);

const capabilityRevisionMask = 0xff000000;

/** XATTR_SIZE_MAX, XATTR_NAME_MAX. */
const attributeValueLength = 65_536;
const attributeNameLength = 255;

/** Owner, permissions, time and attributes of a file that is created. */
export interface Metadata {
  readonly uid: number;
  readonly gid: number;
  /** Permissions, with setuid, setgid and sticky. */
  readonly mode: number;
  readonly modified: FileTime;
  readonly attributes: ReadonlyMap<string, Buffer>;
}

/** A change that an entry of a layer makes. */
export type LayerEntry =
  | { readonly kind: 'file'; readonly name: EntryName; readonly size: number; readonly metadata: Metadata }
  | { readonly kind: 'directory'; readonly name: EntryName; readonly metadata: Metadata }
  | { readonly kind: 'fifo'; readonly name: EntryName; readonly metadata: Metadata }
  | {
      readonly kind: 'symlink';
      readonly name: EntryName;
      readonly target: Buffer;
      readonly metadata: Metadata;
    }
  | { readonly kind: 'hard-link'; readonly name: EntryName; readonly target: EntryName }
  /** Removes what lower layers have under the name. */
  | { readonly kind: 'whiteout'; readonly name: EntryName }
  /** Removes what lower layers have in the directory. */
  | { readonly kind: 'opaque'; readonly name: EntryName };

/** A change that creates something other than a directory. */
export type LeafEntry = Extract<LayerEntry, { kind: 'file' | 'symlink' | 'hard-link' | 'fifo' }>;

/** The entry, and the attributes that were not kept. */
export interface ParsedEntry {
  readonly entry: LayerEntry;
  readonly dropped: readonly string[];
}

type Kind = 'file' | 'directory' | 'fifo' | 'symlink' | 'hard-link';

const kinds: ReadonlyMap<string, Kind> = new Map([
  ['0', 'file'],
  ['7', 'file'],
  ['1', 'hard-link'],
  ['2', 'symlink'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);
const devices: ReadonlySet<string> = new Set(['3', '4']);
const permissions = 0o7777;
/** -1 means "unchanged" to chown(2). */
const maximumOwner = 0xfffffffe;
const whiteoutPrefix = '.wh.';
const opaqueName = '.wh..wh..opq';

/** Converts an entry of an archive to the change that it makes. Throws a LayerError for what no layer may contain. */
export function layerEntry(entry: TarEntry, limits: Pick<UnpackLimits, 'depth' | 'nameLength'>): ParsedEntry {
  const refuse = (code: LayerError['code'], reason: string): never => {
    throw new LayerError(code, `${quoted(entry.name)} ${reason}\nhelp: do not use this image`);
  };
  if (devices.has(entry.type)) refuse('device', 'is a device');
  const kind = kinds.get(entry.type) ?? refuse('unsupported', `has the type ${quoted(entry.type)}`);
  if (kind !== 'file' && entry.size !== 0)
    refuse('header', `is a ${kind} with ${entry.size} bytes of content`);
  // Old tar: a file whose name ends with a slash is a directory. Readers disagree about it.
  if (kind !== 'directory' && entry.name.at(-1) === 0x2f)
    refuse('name', `is a ${kind} whose name ends with "/"`);
  const name = entryName(entry.name, limits);
  if (name.length === 0 && kind !== 'directory') refuse('name', 'is the root, but not a directory');
  const whiteout = whiteoutOf(entry, kind, name, refuse);
  if (whiteout !== undefined) return { entry: whiteout, dropped: [] };
  if (kind === 'hard-link')
    return { entry: { kind, name, target: hardLinkTarget(entry, name, limits, refuse) }, dropped: [] };
  const { metadata, dropped } = metadataOf(entry, kind, refuse);
  if (kind === 'file') return { entry: { kind, name, size: entry.size, metadata }, dropped };
  if (kind === 'symlink')
    return { entry: { kind, name, target: symlinkTarget(entry, limits, refuse), metadata }, dropped };
  return { entry: { kind, name, metadata }, dropped };
}

type Refuse = (code: LayerError['code'], reason: string) => never;

/** `.wh.`, `.wh..` and `.wh...` would remove the directory, or its parent; names of AUFS (`.wh..wh.plnk`) have no meaning. */
function whiteoutOf(entry: TarEntry, kind: Kind, name: EntryName, refuse: Refuse): LayerEntry | undefined {
  const last = name.at(-1) ?? '';
  if (name.slice(0, -1).some((component) => component.startsWith(whiteoutPrefix)))
    refuse('whiteout', 'is below a whiteout');
  if (!last.startsWith(whiteoutPrefix)) return undefined;
  if (kind !== 'file' || entry.size !== 0) refuse('whiteout', 'is a whiteout, but no empty file');
  const parent = name.slice(0, -1);
  if (last === opaqueName) return { kind: 'opaque', name: parent };
  const removed = last.slice(whiteoutPrefix.length);
  if (['', '.', '..'].includes(removed) || removed.startsWith(whiteoutPrefix))
    refuse('whiteout', 'is a whiteout of no name');
  return { kind: 'whiteout', name: [...parent, removed] };
}

function hardLinkTarget(
  entry: TarEntry,
  name: EntryName,
  limits: Pick<UnpackLimits, 'depth' | 'nameLength'>,
  refuse: Refuse,
): EntryName {
  const target = entryName(entry.linkName, limits);
  if (target.length === 0) refuse('hard-link', 'is a hard link to the root');
  if (target.join('/') === name.join('/')) refuse('hard-link', 'is a hard link to itself');
  return target;
}

/** A symbolic link may name anything: it is never followed out of the root. */
function symlinkTarget(entry: TarEntry, limits: Pick<UnpackLimits, 'nameLength'>, refuse: Refuse): Buffer {
  const { linkName } = entry;
  if (linkName.length === 0 || linkName.length > limits.nameLength || linkName.includes(0))
    refuse(
      'symbolic-link',
      `is a symbolic link whose target is empty, longer than ${limits.nameLength} bytes, or has a NUL`,
    );
  return linkName;
}

function metadataOf(
  entry: TarEntry,
  kind: Kind,
  refuse: Refuse,
): { readonly metadata: Metadata; readonly dropped: readonly string[] } {
  const { uid, gid, modified } = entry;
  if (uid < 0 || uid > maximumOwner || gid < 0 || gid > maximumOwner)
    refuse('owner', `has the owner ${uid}:${gid}, which does not exist on Linux`);
  const about = { name: entry.name, isFile: kind === 'file', isDirectory: kind === 'directory' };
  const attributes = new Map<string, Buffer>();
  const dropped: string[] = [];
  for (const [name, value] of entry.attributes) {
    if (decideAttribute(name, value, about) === 'keep') attributes.set(name, value);
    else dropped.push(name);
  }
  return { metadata: { uid, gid, mode: entry.mode & permissions, modified, attributes }, dropped };
}

/** What becomes of an extended attribute. */
type AttributeDecision = 'keep' | 'drop';

/**
 * Decides about an attribute of an entry. File capabilities of regular files are kept, `user.*` too; overlayfs' own are
 * refused, because they would redirect or hide files below a later overlay; others (labels of the build machine, access
 * control lists) are dropped.
 */
export function decideAttribute(
  name: string,
  value: Buffer,
  entry: { readonly name: Buffer; readonly isFile: boolean; readonly isDirectory: boolean },
): AttributeDecision {
  const refuse = (reason: string): never => {
    throw new LayerError(
      'attribute',
      `${quoted(entry.name)}: attribute ${quoted(name)} ${reason}\nhelp: do not use this image`,
    );
  };
  if (/^(trusted|user)\.overlay\./.test(name)) refuse("is overlayfs' own");
  if (name.includes('\0') || Buffer.byteLength(name) > attributeNameLength) refuse('has no valid name');
  if (value.length > attributeValueLength) refuse(`has more than ${attributeValueLength} bytes`);
  if (name === 'security.capability') {
    if (!entry.isFile) refuse('belongs to regular files only');
    const revision = value.length < 4 ? -1 : (value.readUInt32LE(0) & capabilityRevisionMask) >>> 0;
    if (capabilityForms.get(value.length) !== revision) refuse('is no set of capabilities');
    return 'keep';
  }
  return name.startsWith('user.') && name.length > 'user.'.length && (entry.isFile || entry.isDirectory)
    ? 'keep'
    : 'drop';
}

/** A name below the root: its components, as Latin-1 text, which keeps each byte. Empty for the root itself. */
export type EntryName = readonly string[];

/**
 * Cleans a name: a leading `/`, `.` and empty components are dropped. Refuses `..`, NUL, a newline, and what is longer or
 * deeper than allowed.
 */
export function entryName(name: Buffer, limits: Pick<UnpackLimits, 'depth' | 'nameLength'>): EntryName {
  const refuse = (reason: string): never => {
    throw new LayerError('name', `${quoted(name)} ${reason}\nhelp: do not use this image`);
  };
  if (name.length === 0) refuse('is no name');
  if (name.length > limits.nameLength) refuse(`has more than ${limits.nameLength} bytes`);
  if (name.includes(0) || name.includes(0x0a)) refuse('contains a NUL or a newline');
  const components = name
    .toString('latin1')
    .split('/')
    .filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) refuse('contains ".."');
  if (components.length > limits.depth) refuse(`has more than ${limits.depth} components`);
  if (components.some((component) => component.length > componentLength))
    refuse(`has a component of more than ${componentLength} bytes`);
  return components;
}
