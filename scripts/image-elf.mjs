// What has to be known of a program's file to take bytes out of its middle (System V ABI, chapters "Object Files" and
// "Program Loading"; elf(5)). Functions on buffers, for programs of 64 bits, little-endian. An address is where a byte is
// once the program is loaded.

const segmentType = { load: 1, note: 4 };
const sectionType = { symbols: 2, dynamicSymbols: 11 };
const noteType = { buildId: 3 };
const [programHeaderSize, sectionHeaderSize, symbolSize] = [56, 64, 24];

/** The first symbol with such a name: `{ name, address, size }`, or undefined. */
export function findSymbol(file, pattern) {
  const sections = sectionsOf(file);
  for (const { type, offset, size, link } of sections) {
    if (type !== sectionType.symbols && type !== sectionType.dynamicSymbols) continue;
    for (let at = offset; at < offset + size; at += symbolSize) {
      const start = sections[link].offset + file.readUInt32LE(at);
      const name = file.toString('latin1', start, file.indexOf(0, start));
      if (pattern.test(name)) return { name, address: word(file, at + 8), size: word(file, at + 16) };
    }
  }
  return undefined;
}

/** Where in the file the byte of an address is. */
export function offsetOf(file, address) {
  const { offset, address: begin } = segmentAt(segmentsOf(file), address, address + 1);
  return offset + address - begin;
}

/**
 * The file without the whole pages between two addresses, which nothing may ever read: no memory will be there. All other
 * bytes keep their addresses, and those behind the gap are nearer in the file. Undefined when the file has no header to
 * spare for that.
 *
 * One segment becomes two. Its second header takes the place of that of the note with the build's number, which no loader
 * asks for: behind the last header there is no room. The table of sections goes, since it cannot tell of a gap; it is for
 * linkers and debuggers.
 */
export function cutPages(file, from, to) {
  const segments = segmentsOf(file);
  const spare = segments.findIndex((segment) => isBuildId(file, segment));
  if (spare < 0) return undefined;
  const cut = segmentAt(segments, from, to);
  const isLater = ({ type, offset }) => type === segmentType.load && offset >= cut.offset;
  const page = Math.max(...segments.filter(isLater).map(({ align }) => align));
  const begin = Math.ceil(from / page) * page;
  const end = Math.floor(to / page) * page;
  if (end <= begin) return file;
  const [head, tail] = [begin, end].map((address) => cut.offset + address - cut.address);
  const gap = tail - head;
  const halves = [
    { ...cut, fileSize: head - cut.offset, memorySize: head - cut.offset },
    {
      ...cut,
      offset: head,
      address: end,
      physical: cut.physical + (end - cut.address),
      fileSize: cut.fileSize - (tail - cut.offset),
      memorySize: cut.memorySize - (tail - cut.offset),
    },
  ];
  const moved = segments
    .filter((_, index) => index !== spare)
    .flatMap((segment) => {
      if (segment === cut) return halves;
      if (segment.offset >= tail) return [{ ...segment, offset: segment.offset - gap }];
      if (segment.offset + segment.fileSize <= head) return [segment];
      throw new Error(`a segment of type ${segment.type} lies in what is cut`);
    });
  const size = Math.max(...moved.map(({ offset, fileSize }) => offset + fileSize));
  const result = Buffer.concat([file.subarray(0, head), file.subarray(tail, size + gap)]);
  writeSegments(result, moved);
  forgetSections(result);
  return result;
}

function segmentAt(segments, from, to) {
  const found = segments.find(
    ({ type, address, fileSize }) => type === segmentType.load && from >= address && to <= address + fileSize,
  );
  if (found === undefined) throw new Error(`no segment has the addresses 0x${from.toString(16)}…`);
  return found;
}

/** Whether a segment is the note by which builds are told apart: "GNU", type 3. */
function isBuildId(file, { type, offset }) {
  return (
    type === segmentType.note &&
    file.readUInt32LE(offset + 8) === noteType.buildId &&
    file.toString('latin1', offset + 12, offset + 16) === 'GNU\0'
  );
}

function segmentsOf(file) {
  checkKind(file);
  const table = word(file, 32);
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = table + index * programHeaderSize;
    const [offset, address, physical, fileSize, memorySize, align] = [8, 16, 24, 32, 40, 48].map((field) =>
      word(file, at + field),
    );
    const [type, flags] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)];
    return { type, flags, offset, address, physical, fileSize, memorySize, align };
  });
}

function writeSegments(file, segments) {
  const table = word(file, 32);
  for (const [index, segment] of segments.entries()) {
    const at = table + index * programHeaderSize;
    file.writeUInt32LE(segment.type, at);
    file.writeUInt32LE(segment.flags, at + 4);
    const { offset, address, physical, fileSize, memorySize, align } = segment;
    for (const [field, value] of [offset, address, physical, fileSize, memorySize, align].entries())
      file.writeBigUInt64LE(BigInt(value), at + 8 + field * 8);
  }
}

function sectionsOf(file) {
  checkKind(file);
  const table = word(file, 40);
  return Array.from({ length: file.readUInt16LE(60) }, (_, index) => {
    const at = table + index * sectionHeaderSize;
    return {
      type: file.readUInt32LE(at + 4),
      offset: word(file, at + 24),
      size: word(file, at + 32),
      link: file.readUInt32LE(at + 40),
    };
  });
}

function forgetSections(file) {
  file.writeBigUInt64LE(0n, 40);
  file.writeUInt16LE(0, 60); // their number
  file.writeUInt16LE(0, 62); // which of them has the names
}

function checkKind(file) {
  if (file.toString('latin1', 0, 6) !== '\x7fELF\x02\x01')
    throw new Error('this is no program of 64 bits, little-endian');
}

/** 8 bytes; no file is so long that a number does not hold them. */
function word(file, at) {
  return Number(file.readBigUInt64LE(at));
}
