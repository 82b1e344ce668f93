// The program that starts the agent, whether as PID 1 or under systemd: one execve(2) with fixed arguments and an empty
// environment (S23). The kernel hands words of its line that it does not know to init's environment, and all after `--`
// to its arguments; a shell or a dynamic linker would read some of them before its first line runs. This one reads nothing,
// since there is nothing in it that could: no interpreter, no C library, 12 instructions, written here as an ELF file.

const base = 0x400000n;
const headerSize = 64 + 56;
const sys = { write: 1, execve: 59, exit: 60 };

/** The bytes of an x86_64 program that runs `argv[0]` with `argv`, and says so on stderr when it cannot. */
export function wrapperProgram(argv) {
  const code = [];
  const fixups = [];
  const emit = (...bytes) => code.push(...bytes);
  const immediate = (opcode, value) => emit(opcode, ...uint32(value));
  // lea REGISTER, [rip + offset of a datum]
  const address = (modrm, datum) => {
    emit(0x48, 0x8d, modrm);
    fixups.push({ at: code.length, datum });
    emit(0, 0, 0, 0);
  };
  const [eax, edi, edx] = [0xb8, 0xbf, 0xba];
  const [rdi, rsi, rdx] = [0x3d, 0x35, 0x15];
  const call = (number) => {
    immediate(eax, number);
    emit(0x0f, 0x05);
  };
  const message = Buffer.from(`kata-agent: ${argv[0]} cannot be run\n`);

  address(rdi, 'path');
  address(rsi, 'argv');
  address(rdx, 'envp');
  call(sys.execve);
  immediate(edi, 2);
  address(rsi, 'message');
  immediate(edx, message.length);
  call(sys.write);
  immediate(edi, 127);
  call(sys.exit);

  const data = layOut(align(headerSize + code.length), argv, message);
  for (const { at, datum } of fixups)
    code.splice(at, 4, ...uint32(data.offsets[datum] - (headerSize + at + 4)));
  const size = data.start + data.bytes.length;
  const file = Buffer.alloc(size);
  file.set(headers(size), 0);
  file.set(code, headerSize);
  file.set(data.bytes, data.start);
  return file;
}

/** The pointers first, for their alignment, then the texts that they point to. */
function layOut(start, argv, message) {
  const pointers = 8 * (argv.length + 2);
  const texts = argv.map((text) => Buffer.from(`${text}\0`));
  const bytes = Buffer.alloc(pointers + texts.reduce((sum, text) => sum + text.length, 0) + message.length);
  let at = pointers;
  const offsets = { argv: start, envp: start + 8 * (argv.length + 1), path: start + pointers };
  for (const [index, text] of texts.entries()) {
    bytes.writeBigUInt64LE(base + BigInt(start + at), 8 * index);
    bytes.set(text, at);
    at += text.length;
  }
  bytes.set(message, at);
  return { start, bytes, offsets: { ...offsets, message: start + at } };
}

/** ELF header and one loadable segment, the whole file (elf(5)). Nothing in it is writable. */
function headers(size) {
  const header = Buffer.alloc(headerSize);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // 64 bits, little-endian, version 1
  header.writeUInt16LE(2, 16); // an executable
  header.writeUInt16LE(62, 18); // x86_64
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(base + BigInt(headerSize), 24); // the entry
  header.writeBigUInt64LE(64n, 32); // where the program headers are
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  const segment = header.subarray(64);
  segment.writeUInt32LE(1, 0); // PT_LOAD
  segment.writeUInt32LE(5, 4); // to be read and executed
  segment.writeBigUInt64LE(base, 16);
  segment.writeBigUInt64LE(base, 24);
  segment.writeBigUInt64LE(BigInt(size), 32);
  segment.writeBigUInt64LE(BigInt(size), 40);
  segment.writeBigUInt64LE(0x1000n, 48);
  return header;
}

function uint32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function align(offset) {
  return Math.ceil(offset / 8) * 8;
}
