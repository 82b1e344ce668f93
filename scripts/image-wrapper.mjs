// The program that starts the agent, whether as PID 1 or under systemd: one execve(2) with fixed arguments and an empty
// environment (S23). The kernel hands words of its line that it does not know to init's environment, and all after `--`
// to its arguments; a shell or a dynamic linker would read some of them before its first line runs. This one reads nothing,
// since there is nothing in it that could: no interpreter, no C library, 18 instructions, written here as an ELF file.

/** An address that both architectures load with one instruction; a multiple of the largest page, the 64 KiB of aarch64. */
const base = 0x400000;
const pageSize = 0x10000;
const headerSize = 64 + 56;
const sectionHeaderSize = 64;
const sectionNames = '\0.text\0.shstrtab\0';
const stderr = 2;

/** TCSBRK with an argument other than 0: wait until all is sent, as tcdrain(3) does. */
const drain = [0x5409, 1];

/**
 * By Node's name of an architecture: its number in an ELF header, those of its system calls, and how it puts a number or
 * an address into the register of the nth argument (`at`: where that instruction is) and enters the kernel.
 */
const machines = {
  x64: {
    elf: 62,
    numbers: { execve: 59, write: 1, ioctl: 16, exit: 60 },
    // mov edi|esi|edx, VALUE. The upper half of the register becomes 0.
    load: (argument, value) => [[0xbf, 0xbe, 0xba][argument], ...uint32(value)],
    // mov eax, NUMBER; syscall
    call: (number) => [0xb8, ...uint32(number), 0x0f, 0x05],
  },
  arm64: {
    elf: 183,
    numbers: { execve: 221, write: 64, ioctl: 29, exit: 93 },
    load: (argument, value, at) => uint32(value > 0xffff ? adr(argument, value - at) : movz(argument, value)),
    // movz w8, NUMBER; svc 0
    call: (number) => [...uint32(movz(8, number)), ...uint32(0xd4000001)],
  },
};

/** movz wREGISTER, VALUE: 16 bits, the rest of the register becomes 0. */
function movz(register, value) {
  return (0x52800000 | (value << 5) | register) >>> 0;
}

/** adr xREGISTER, this instruction's address + DISTANCE (21 bits): the lowest two bits stand apart. */
function adr(register, distance) {
  return (0x10000000 | ((distance & 3) << 29) | (((distance >> 2) & 0x7ffff) << 5) | register) >>> 0;
}

/** The bytes of a program that runs `argv[0]` with `argv`, and says so on stderr when it cannot. */
export function wrapperProgram(argv, architecture = process.arch) {
  const machine = machines[architecture];
  if (machine === undefined)
    throw new Error(`no wrapper for ${architecture}: there is one for ${Object.keys(machines).join(', ')}`);
  // No instruction's length depends on what it loads, so a first round tells where the data begins.
  const size = headerSize + instructions(machine, layOut(base, argv)).length;
  const data = layOut(base + align(size), argv);
  const loaded = Buffer.alloc(data.start - base + data.bytes.length);
  loaded.set(headers(machine, loaded.length), 0);
  loaded.set(instructions(machine, data), headerSize);
  loaded.set(data.bytes, data.start - base);
  return Buffer.concat([loaded, sections(loaded.length)]);
}

function instructions(machine, { path, argv, envp, message, messageLength }) {
  const code = [];
  const call = (name, ...values) => {
    for (const [argument, value] of values.entries())
      code.push(...machine.load(argument, value, base + headerSize + code.length));
    code.push(...machine.call(machine.numbers[name]));
  };
  call('execve', path, argv, envp);
  call('write', stderr, message, messageLength);
  // PID 1 that ends is a panic, which throws away what the console has not sent yet. No terminal: nothing to wait for.
  call('ioctl', stderr, ...drain);
  call('exit', 127);
  return code;
}

/** What the kernel is pointed to: the arrays of pointers first, for their alignment, then the texts. */
function layOut(start, argv) {
  const texts = argv.map((text) => Buffer.from(`${text}\0`));
  const message = Buffer.from(`kata-agent: ${argv[0]} cannot be run\n`);
  const arrays = Buffer.alloc(8 * (argv.length + 2)); // each ends with a null
  const path = start + arrays.length;
  let at = path;
  for (const [index, text] of texts.entries()) {
    arrays.writeBigUInt64LE(BigInt(at), 8 * index);
    at += text.length;
  }
  return {
    start,
    argv: start,
    envp: path - 8,
    path,
    message: at,
    messageLength: message.length,
    bytes: Buffer.concat([arrays, ...texts, message]),
  };
}

/** ELF header and one loadable segment, all but the sections (elf(5)). Nothing in it is writable. */
function headers({ elf }, size) {
  const header = Buffer.alloc(headerSize);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // 64 bits, little-endian, version 1
  header.writeUInt16LE(2, 16); // an executable
  header.writeUInt16LE(elf, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(base + headerSize), 24); // the entry
  header.writeBigUInt64LE(64n, 32); // where the program headers are
  header.writeBigUInt64LE(BigInt(align(size + sectionNames.length)), 40); // and the sections
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt16LE(sectionHeaderSize, 58);
  header.writeUInt16LE(3, 60);
  header.writeUInt16LE(2, 62); // their names are in the last
  const segment = header.subarray(64);
  segment.writeUInt32LE(1, 0); // PT_LOAD
  segment.writeUInt32LE(5, 4); // to be read and executed
  segment.writeBigUInt64LE(BigInt(base), 16);
  segment.writeBigUInt64LE(BigInt(base), 24);
  segment.writeBigUInt64LE(BigInt(size), 32);
  segment.writeBigUInt64LE(BigInt(size), 40);
  segment.writeBigUInt64LE(BigInt(pageSize), 48);
  return header;
}

/**
 * The kernel needs no sections, but strip(1) does, which Kata's osbuilder runs over an agent that it is given: none, what
 * is loaded, and the names.
 */
function sections(size) {
  const names = align(size + sectionNames.length) - size;
  const bytes = Buffer.alloc(names + 3 * sectionHeaderSize);
  bytes.write(sectionNames, 'latin1');
  const header = (index, { name, type, flags, address, offset, length, alignment }) => {
    const at = bytes.subarray(names + index * sectionHeaderSize);
    at.writeUInt32LE(sectionNames.indexOf(name), 0);
    at.writeUInt32LE(type, 4);
    for (const [field, value] of [flags, address, offset, length].entries())
      at.writeBigUInt64LE(BigInt(value), 8 + 8 * field);
    at.writeBigUInt64LE(BigInt(alignment), 48);
  };
  header(1, {
    name: '.text',
    type: 1, // SHT_PROGBITS
    flags: 6, // SHF_ALLOC, SHF_EXECINSTR
    address: base + headerSize,
    offset: headerSize,
    length: size - headerSize,
    alignment: 8,
  });
  const length = sectionNames.length;
  header(2, { name: '.shstrtab', type: 3, flags: 0, address: 0, offset: size, length, alignment: 1 });
  return bytes;
}

function uint32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function align(offset) {
  return Math.ceil(offset / 8) * 8;
}
