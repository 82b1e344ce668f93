import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

/** An entry as written: nothing is checked, so that tests can build hostile archives. */
export interface BuiltEntry {
  readonly name: string | Buffer;
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly link?: string | Buffer;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  /** In place of the content's length. */
  readonly size?: number;
  /** Records of a pax header in front of the entry. */
  readonly pax?: Readonly<Record<string, string | Buffer>>;
}

/** Builds an archive of these entries, with its end marker. */
export function buildTar(entries: readonly BuiltEntry[]): Buffer {
  return Buffer.concat([...entries.map(buildEntry), Buffer.alloc(1024)]);
}

/** Builds the blocks of one entry. */
export function buildEntry(entry: BuiltEntry): Buffer {
  const content = Buffer.from(entry.content ?? '');
  const pax =
    entry.pax === undefined
      ? []
      : [buildEntry({ name: 'pax', type: 'x', content: paxBody(Object.entries(entry.pax)) })];
  return Buffer.concat([...pax, headerBlock(entry, content.length), padded(content)]);
}

/** Builds the body of a pax header. */
export function paxBody(records: readonly (readonly [string, string | Buffer])[]): Buffer {
  return Buffer.concat(
    records.map(([key, value]) => {
      const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
      let length = rest.length + 1;
      while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
}

function headerBlock(entry: BuiltEntry, contentLength: number): Buffer {
  const { name, type = '0', link = '', mode = 0o644, uid = 0, gid = 0, mtime = 1 } = entry;
  const block = Buffer.alloc(512);
  Buffer.from(name).copy(block, 0, 0, 100);
  const octal = (value: number, at: number, digits: number): void => {
    block.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1');
  };
  octal(mode, 100, 7);
  octal(uid, 108, 7);
  octal(gid, 116, 7);
  octal(entry.size ?? contentLength, 124, 11);
  octal(mtime, 136, 11);
  block.write(type, 156, 'latin1');
  Buffer.from(link).copy(block, 157, 0, 100);
  block.write('ustar\x0000', 257, 'latin1');
  return withChecksum(block);
}

/** Writes the checksum into a header block. */
export function withChecksum(block: Buffer): Buffer {
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

/** The media type, diff_id and blob of an archive. */
export interface BuiltLayer {
  readonly mediaType: string;
  readonly diffId: string;
  readonly blob: Buffer;
}

/** Makes an uncompressed or gzip layer of an archive. */
export function layerOf(archive: Buffer, compression: 'none' | 'gzip' = 'none'): BuiltLayer {
  const diffId = `sha256:${createHash('sha256').update(archive).digest('hex')}`;
  const mediaType = `application/vnd.oci.image.layer.v1.tar${compression === 'gzip' ? '+gzip' : ''}`;
  return { mediaType, diffId, blob: compression === 'gzip' ? gzipSync(archive) : archive };
}
