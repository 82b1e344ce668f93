// Reads 64-bit little-endian ELF programs, and removes pages from them (System V ABI, chapters "Object Files"
// and "Program Loading"; elf(5)). An address is the virtual address of a byte in the loaded program.

/** A symbol of a program. */
export interface ProgramSymbol {
  readonly name: string;
  readonly address: number;
  /** The size in bytes. */
  readonly size: number;
}

/** A program header. */
interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly physical: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly align: number;
}

/** A section header. */
interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  /** sh_link: for a symbol table, the index of the section with the names. */
  readonly link: number;
}

const segmentType = { load: 1, note: 4 };
const sectionType = { symbols: 2, dynamicSymbols: 11 };
const noteType = { buildId: 3 };
const [programHeaderSize, sectionHeaderSize, symbolSize] = [56, 64, 24] as const;

/** Returns the first symbol whose name matches, or undefined. */
export function findSymbol(file: Buffer, pattern: RegExp): ProgramSymbol | undefined {
  const sections = sectionsOf(file);
  for (const { type, offset, size, link } of sections) {
    if (type !== sectionType.symbols && type !== sectionType.dynamicSymbols) continue;
    const names = sections[link];
    if (names === undefined) throw new Error(`the program has no section ${link}`);
    for (let at = offset; at < offset + size; at += symbolSize) {
      const start = names.offset + file.readUInt32LE(at);
      const name = file.toString('latin1', start, file.indexOf(0, start));
      if (pattern.test(name))
        return { name, address: readUInt64(file, at + 8), size: readUInt64(file, at + 16) };
    }
  }
  return undefined;
}

/** Returns the file offset of an address. */
export function offsetOf(file: Buffer, address: number): number {
  const { offset, address: begin } = segmentAt(segmentsOf(file), address, address + 1);
  return offset + address - begin;
}

/**
 * Returns the file without the whole pages between two addresses. The program must not access them: they are
 * not mapped. All other bytes keep their addresses, but those after the gap have lower file offsets. Returns
 * undefined if the program has no build ID note.
 *
 * The segment is split into two. Its second program header replaces that of the build ID note, which the loader
 * does not use, because there is no space after the last header. The section header table, which only linkers
 * and debuggers use, is removed: a section cannot have a gap.
 */
export function cutPages(file: Buffer, from: number, to: number): Buffer | undefined {
  const segments = segmentsOf(file);
  const spare = segments.findIndex((segment) => isBuildId(file, segment));
  if (spare < 0) return undefined;
  const split = segmentAt(segments, from, to);
  const isLater = ({ type, offset }: Segment): boolean => type === segmentType.load && offset >= split.offset;
  const page = Math.max(...segments.filter(isLater).map(({ align }) => align));
  const begin = Math.ceil(from / page) * page;
  const end = Math.floor(to / page) * page;
  if (end <= begin) return file;
  const head = split.offset + begin - split.address;
  const tail = split.offset + end - split.address;
  const gap = tail - head;
  const halves = [
    { ...split, fileSize: head - split.offset, memorySize: head - split.offset },
    {
      ...split,
      offset: head,
      address: end,
      physical: split.physical + (end - split.address),
      fileSize: split.fileSize - (tail - split.offset),
      memorySize: split.memorySize - (tail - split.offset),
    },
  ];
  const moved = segments
    .filter((_, index) => index !== spare)
    .flatMap((segment) => {
      if (segment === split) return halves;
      if (segment.offset >= tail) return [{ ...segment, offset: segment.offset - gap }];
      if (segment.offset + segment.fileSize <= head) return [segment];
      throw new Error(`a segment of type ${segment.type} is in the removed pages`);
    });
  const size = Math.max(...moved.map(({ offset, fileSize }) => offset + fileSize));
  const result = Buffer.concat([file.subarray(0, head), file.subarray(tail, size + gap)]);
  writeSegments(result, moved);
  removeSectionTable(result);
  return result;
}

function segmentAt(segments: readonly Segment[], from: number, to: number): Segment {
  const found = segments.find(
    ({ type, address, fileSize }) => type === segmentType.load && from >= address && to <= address + fileSize,
  );
  if (found === undefined) throw new Error(`no segment contains the addresses from 0x${from.toString(16)}`);
  return found;
}

/** Reports whether a segment is the build ID note: name "GNU", type 3. */
function isBuildId(file: Buffer, { type, offset }: Segment): boolean {
  return (
    type === segmentType.note &&
    file.readUInt32LE(offset + 8) === noteType.buildId &&
    file.toString('latin1', offset + 12, offset + 16) === 'GNU\0'
  );
}

function segmentsOf(file: Buffer): readonly Segment[] {
  checkElfClass(file);
  const table = readUInt64(file, 32);
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = table + index * programHeaderSize;
    return {
      type: file.readUInt32LE(at),
      flags: file.readUInt32LE(at + 4),
      offset: readUInt64(file, at + 8),
      address: readUInt64(file, at + 16),
      physical: readUInt64(file, at + 24),
      fileSize: readUInt64(file, at + 32),
      memorySize: readUInt64(file, at + 40),
      align: readUInt64(file, at + 48),
    };
  });
}

function writeSegments(file: Buffer, segments: readonly Segment[]): void {
  const table = readUInt64(file, 32);
  for (const [index, segment] of segments.entries()) {
    const at = table + index * programHeaderSize;
    file.writeUInt32LE(segment.type, at);
    file.writeUInt32LE(segment.flags, at + 4);
    const { offset, address, physical, fileSize, memorySize, align } = segment;
    for (const [field, value] of [offset, address, physical, fileSize, memorySize, align].entries())
      file.writeBigUInt64LE(BigInt(value), at + 8 + field * 8);
  }
}

function sectionsOf(file: Buffer): readonly Section[] {
  checkElfClass(file);
  const table = readUInt64(file, 40);
  return Array.from({ length: file.readUInt16LE(60) }, (_, index) => {
    const at = table + index * sectionHeaderSize;
    return {
      type: file.readUInt32LE(at + 4),
      offset: readUInt64(file, at + 24),
      size: readUInt64(file, at + 32),
      link: file.readUInt32LE(at + 40),
    };
  });
}

function removeSectionTable(file: Buffer): void {
  file.writeBigUInt64LE(0n, 40); // e_shoff
  file.writeUInt16LE(0, 60); // e_shnum
  file.writeUInt16LE(0, 62); // e_shstrndx
}

function checkElfClass(file: Buffer): void {
  if (file.toString('latin1', 0, 6) !== '\x7fELF\x02\x01')
    throw new Error('this is not a 64-bit little-endian ELF file');
}

/** Reads 8 bytes. Offsets and addresses of a program fit into a safe integer. */
function readUInt64(file: Buffer, at: number): number {
  return Number(file.readBigUInt64LE(at));
}
