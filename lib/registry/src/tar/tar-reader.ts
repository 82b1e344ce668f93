import type { FileTime } from '@kata-agent/linux';
import { quoted } from '../errors/image-error.js';
import { TarError } from './tar-error.js';
import {
  blockSize,
  paxInteger,
  type PaxRecords,
  paxRecords,
  paxTime,
  type TarHeader,
  tarHeader,
} from './tar-fields.js';

/** An entry, with what its extended headers say. Names are as written: neither cleaned nor checked. */
export interface TarEntry {
  readonly name: Buffer;
  readonly linkName: Buffer;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly modified: FileTime;
  /** By name, as `security.capability`. */
  readonly attributes: ReadonlyMap<string, Buffer>;
}

/** Receives the entries of an archive, in order. What it throws ends the reading. */
export interface TarSink {
  entry(entry: TarEntry): void;
  /** A part of the entry's content: valid until the call returns. */
  data(chunk: Buffer): void;
  /** The entry's content was complete. */
  end(): void;
}

const attributePrefix = 'SCHILY.xattr.';
/** Records that would change how later entries are read, if a global header had them. */
const changing =
  /^(path|linkpath|size|uid|gid|mtime|uname|gname|hdrcharset|SCHILY\..*|GNU\..*|LIBARCHIVE\..*)$/;

type Extended = 'pax' | 'global' | 'name' | 'link';
const extendedTypes: ReadonlyMap<string, Extended> = new Map([
  ['x', 'pax'],
  ['g', 'global'],
  ['L', 'name'],
  ['K', 'link'],
]);

/**
 * Reads a tar archive that is pushed in chunks of any size: ustar, pax and GNU's long names. Reads each byte one way
 * only: whatever two readers could understand differently is refused. Our own, because libraries decode names and
 * records as UTF-8, which destroys file capabilities (docs/adr/images.md, "Unpacking").
 */
export class TarReader {
  readonly #sink: TarSink;
  readonly #headerBytes: number;
  readonly #block: Buffer = Buffer.alloc(blockSize);
  #filled = 0;
  #state: 'header' | 'content' | 'extended' | 'padding' | 'end' = 'header';
  /** Bytes that remain of the content, then of its padding. */
  #remaining = 0;
  #padding = 0;
  #zeroBlocks = 0;
  #extended: { readonly kind: Extended; readonly parts: Buffer[] } | undefined;
  #pax: PaxRecords | undefined;
  #longName: Buffer | undefined;
  #longLink: Buffer | undefined;

  constructor(sink: TarSink, { headerBytes }: { readonly headerBytes: number }) {
    this.#sink = sink;
    this.#headerBytes = headerBytes;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const length = Math.min(
        chunk.length - at,
        this.#state === 'content' || this.#state === 'extended' || this.#state === 'padding'
          ? this.#remaining
          : blockSize - this.#filled,
      );
      this.#take(chunk.subarray(at, at + length));
      at += length;
    }
  }

  /**
   * Leaves out the content of the entry that was reported last: returns the number of its bytes, with padding, which are then not pushed.
   * Called between two pushes of one block each.
   */
  skip(): number {
    if (this.#state !== 'content') return 0;
    const length = this.#remaining + this.#padding;
    this.#remaining = this.#padding = 0;
    this.#contentEnds();
    return length;
  }

  /** Whether the end marker was read. */
  get ended(): boolean {
    return this.#state === 'end';
  }

  /** Ends the archive: throws a TarError unless it ends between two entries. */
  finish(): void {
    const whole = (this.#state === 'header' || this.#state === 'end') && this.#filled === 0;
    if (!whole || this.#pax !== undefined || this.#longName !== undefined || this.#longLink !== undefined)
      throw new TarError('truncated', 'the archive ends inside an entry');
  }

  #take(part: Buffer): void {
    switch (this.#state) {
      case 'header':
      case 'end':
        part.copy(this.#block, this.#filled);
        this.#filled += part.length;
        if (this.#filled === blockSize) {
          this.#filled = 0;
          this.#readBlock();
        }
        return;
      case 'content':
        this.#sink.data(part);
        this.#remaining -= part.length;
        if (this.#remaining === 0) this.#contentEnds();
        return;
      case 'extended':
        this.#extended?.parts.push(Buffer.from(part));
        this.#remaining -= part.length;
        if (this.#remaining === 0) this.#contentEnds();
        return;
      case 'padding':
        this.#remaining -= part.length;
        if (this.#remaining === 0) this.#state = 'header';
        return;
    }
  }

  #readBlock(): void {
    if (this.#state === 'end') {
      if (this.#block.some((byte) => byte !== 0))
        throw new TarError('trailing', 'bytes follow the end of the archive');
      return;
    }
    const header = tarHeader(this.#block);
    if (header === undefined) {
      this.#zeroBlocks += 1;
      if (this.#zeroBlocks < 2) return;
      this.finish();
      this.#state = 'end';
      return;
    }
    if (this.#zeroBlocks > 0) throw new TarError('trailing', 'an entry follows a block of zeros');
    const kind = extendedTypes.get(header.type);
    if (kind === undefined) this.#begin(this.#complete(header));
    else this.#beginExtended(kind, header.size);
  }

  #beginExtended(kind: Extended, size: number): void {
    const twice =
      (kind === 'pax' && this.#pax !== undefined) ||
      (kind === 'name' && this.#longName !== undefined) ||
      (kind === 'link' && this.#longLink !== undefined) ||
      (kind === 'global' && this.#pax !== undefined);
    if (twice) throw new TarError('header', 'an entry has two extended headers of one kind');
    if (size > this.#headerBytes)
      throw new TarError(
        'limit',
        `an extended header has ${size} bytes; at most ${this.#headerBytes} are allowed`,
      );
    this.#extended = { kind, parts: [] };
    this.#expect('extended', size);
  }

  #begin(entry: TarEntry): void {
    this.#sink.entry(entry);
    this.#extended = undefined;
    this.#expect('content', entry.size);
  }

  #expect(state: 'content' | 'extended', size: number): void {
    this.#state = state;
    this.#remaining = size;
    this.#padding = (blockSize - (size % blockSize)) % blockSize;
    if (size === 0) this.#contentEnds();
  }

  #contentEnds(): void {
    if (this.#extended === undefined) this.#sink.end();
    else this.#readExtended(this.#extended.kind, Buffer.concat(this.#extended.parts));
    this.#extended = undefined;
    this.#remaining = this.#padding;
    this.#state = this.#remaining === 0 ? 'header' : 'padding';
  }

  #readExtended(kind: Extended, body: Buffer): void {
    switch (kind) {
      case 'pax':
        this.#pax = paxRecords(body);
        return;
      case 'global': {
        const key = [...paxRecords(body).keys()].find((name) => changing.test(name));
        if (key !== undefined)
          throw new TarError('unsupported', `a global header sets ${JSON.stringify(key)} for all entries`);
        return;
      }
      case 'name':
        this.#longName = longText(body);
        return;
      case 'link':
        this.#longLink = longText(body);
        return;
    }
  }

  /** Puts the extended headers into the entry that follows them. */
  #complete(header: TarHeader): TarEntry {
    const [pax, longName, longLink] = [this.#pax, this.#longName, this.#longLink];
    this.#pax = this.#longName = this.#longLink = undefined;
    if ((longName !== undefined && pax?.has('path')) || (longLink !== undefined && pax?.has('linkpath')))
      throw new TarError('header', `${quoted(header.name.toString('utf8'))} has two long names`);
    const attributes = new Map<string, Buffer>();
    for (const [key, value] of pax ?? []) {
      if (key.startsWith('GNU.sparse.'))
        throw new TarError('unsupported', `${quoted(header.name.toString('utf8'))} is a sparse file`);
      if (key.startsWith(attributePrefix)) attributes.set(key.slice(attributePrefix.length), value);
    }
    const record = <Value>(key: string, parse: (value: Buffer) => Value, other: Value): Value => {
      const value = pax?.get(key);
      // An empty value removes the record: the header's own counts.
      return value === undefined || value.length === 0 ? other : parse(value);
    };
    return {
      name: record('path', (value) => value, longName ?? header.name),
      linkName: record('linkpath', (value) => value, longLink ?? header.linkName),
      type: header.type,
      mode: header.mode,
      uid: record('uid', (value) => paxInteger(value, 'uid'), header.uid),
      gid: record('gid', (value) => paxInteger(value, 'gid'), header.gid),
      size: record('size', (value) => paxInteger(value, 'size'), header.size),
      modified: record('mtime', paxTime, header.modified),
      attributes,
    };
  }
}

/** GNU's long names end with a NUL. */
function longText(body: Buffer): Buffer {
  const end = body.indexOf(0);
  if (end >= 0 && body.subarray(end).some((byte) => byte !== 0))
    throw new TarError('header', 'a long name has bytes after its end');
  return end < 0 ? body : body.subarray(0, end);
}
