// The program that starts the agent, as PID 1 or under systemd: one execve(2) with fixed arguments and an empty
// environment (S23). The kernel passes parameters of its command line that it does not recognize to init's
// environment, and everything after `--` to its arguments. A shell or a dynamic linker would evaluate some of
// them before the first line runs. This program reads neither: it is an ELF file of a few instructions, without
// interpreter and C library.

/**
 * The load address. Both architectures load it with one instruction. A multiple of aarch64's largest page, 64
 * KiB.
 */
const base = 0x400000;
const pageSize = 0x10000;
const headerSize = 64 + 56;
const sectionHeaderSize = 64;
const sectionNames = '\0.text\0.shstrtab\0';
const stderr = 2;

/** TCSBRK with an argument other than 0 waits until all output is sent, as tcdrain(3) does. */
const drain = [0x5409, 1] as const;

/** The wrapper's system calls. */
type Call = 'execve' | 'write' | 'ioctl' | 'exit';

/** The instructions and numbers of an architecture that the wrapper needs. */
interface Machine {
  /** e_machine. */
  readonly elf: number;
  /** The system call numbers. */
  readonly numbers: Readonly<Record<Call, number>>;
  /**
   * Loads a number or an address into the register of the nth argument; `at` is the address of the instruction.
   */
  readonly load: (argument: number, value: number, at: number) => readonly number[];
  /** Makes the system call. */
  readonly call: (number: number) => readonly number[];
}

/** The addresses of the wrapper's data in the loaded program, and its bytes. */
interface Data {
  readonly start: number;
  readonly argv: number;
  readonly envp: number;
  readonly path: number;
  readonly message: number;
  readonly messageLength: number;
  readonly bytes: Buffer;
}

/** The opcodes of mov to edi, esi and edx. */
const moveOpcodes = [0xbf, 0xbe, 0xba];

/** The architectures, by Node's name. */
const machines: Readonly<Record<string, Machine>> = {
  x64: {
    elf: 62,
    numbers: { execve: 59, write: 1, ioctl: 16, exit: 60 },
    // mov REGISTER, VALUE; sets the upper half of the register to 0
    load: (argument, value) => [moveOpcodes[argument] ?? noRegister(argument), ...uint32(value)],
    // mov eax, NUMBER; syscall
    call: (number) => [0xb8, ...uint32(number), 0x0f, 0x05],
  },
  arm64: {
    elf: 183,
    numbers: { execve: 221, write: 64, ioctl: 29, exit: 93 },
    load: (argument, value, at) => [
      ...uint32(value > 0xffff ? adr(argument, value - at) : movz(argument, value)),
    ],
    // movz w8, NUMBER; svc 0
    call: (number) => [...uint32(movz(8, number)), ...uint32(0xd4000001)],
  },
};

function noRegister(argument: number): never {
  throw new Error(`no register for argument ${argument}`);
}

/** Encodes movz wREGISTER, VALUE (16 bits), which sets the rest of the register to 0. */
function movz(register: number, value: number): number {
  return (0x52800000 | (value << 5) | register) >>> 0;
}

/** Encodes adr xREGISTER, PC + DISTANCE (21 bits). The two lowest bits of the distance are in a separate field. */
function adr(register: number, distance: number): number {
  return (0x10000000 | ((distance & 3) << 29) | (((distance >> 2) & 0x7ffff) << 5) | register) >>> 0;
}

/**
 * Returns a program that runs `argv[0]` with `argv`. If that fails, it prints a message to stderr and exits
 * with 127.
 */
export function wrapperProgram(argv: readonly string[], architecture: string = process.arch): Buffer {
  const machine = machines[architecture];
  if (machine === undefined)
    throw new Error(`no wrapper for ${architecture}: only for ${Object.keys(machines).join(', ')}`);
  // The length of an instruction does not depend on its value, so a first pass determines where the data begins.
  const size = headerSize + instructions(machine, layOut(base, argv)).length;
  const data = layOut(base + align(size), argv);
  const loaded = Buffer.alloc(data.start - base + data.bytes.length);
  loaded.set(headers(machine, loaded.length), 0);
  loaded.set(instructions(machine, data), headerSize);
  loaded.set(data.bytes, data.start - base);
  return Buffer.concat([loaded, sections(loaded.length)]);
}

function instructions(
  machine: Machine,
  { path, argv, envp, message, messageLength }: Data,
): readonly number[] {
  const code: number[] = [];
  const call = (name: Call, ...values: readonly number[]): void => {
    for (const [argument, value] of values.entries())
      code.push(...machine.load(argument, value, base + headerSize + code.length));
    code.push(...machine.call(machine.numbers[name]));
  };
  call('execve', path, argv, envp);
  call('write', stderr, message, messageLength);
  // When PID 1 exits, the kernel panics and discards unsent console output. On anything but a terminal the
  // ioctl fails.
  call('ioctl', stderr, ...drain);
  call('exit', 127);
  return code;
}

/** Lays out the data: the pointer arrays argv and envp first, because they must be aligned, then the strings. */
function layOut(start: number, argv: readonly string[]): Data {
  const texts = argv.map((text) => Buffer.from(`${text}\0`));
  const message = Buffer.from(`kata-agent: ${argv[0]} cannot be run\n`);
  const arrays = Buffer.alloc(8 * (argv.length + 2)); // each ends with a null pointer
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

/**
 * Returns the ELF header and one program header, for a segment with everything but the sections (elf(5)). The
 * segment is not writable.
 */
function headers({ elf }: Machine, size: number): Buffer {
  const header = Buffer.alloc(headerSize);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // 64 bits, little-endian, version 1
  header.writeUInt16LE(2, 16); // ET_EXEC
  header.writeUInt16LE(elf, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(base + headerSize), 24); // e_entry
  header.writeBigUInt64LE(64n, 32); // e_phoff
  header.writeBigUInt64LE(BigInt(align(size + sectionNames.length)), 40); // e_shoff
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt16LE(sectionHeaderSize, 58);
  header.writeUInt16LE(3, 60);
  header.writeUInt16LE(2, 62); // e_shstrndx
  const segment = header.subarray(64);
  segment.writeUInt32LE(1, 0); // PT_LOAD
  segment.writeUInt32LE(5, 4); // PF_R, PF_X
  segment.writeBigUInt64LE(BigInt(base), 16);
  segment.writeBigUInt64LE(BigInt(base), 24);
  segment.writeBigUInt64LE(BigInt(size), 32);
  segment.writeBigUInt64LE(BigInt(size), 40);
  segment.writeBigUInt64LE(BigInt(pageSize), 48);
  return header;
}

/** A section header (elf(5)). */
interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: number;
  readonly offset: number;
  readonly length: number;
  readonly alignment: number;
}

/**
 * Returns the section names and three section headers: the null section, the segment's content, and the names.
 * The kernel needs no sections, but strip(1) does, which Kata's osbuilder runs on the agent.
 */
function sections(size: number): Buffer {
  const names = align(size + sectionNames.length) - size;
  const bytes = Buffer.alloc(names + 3 * sectionHeaderSize);
  bytes.write(sectionNames, 'latin1');
  const header = (
    index: number,
    { name, type, flags, address, offset, length, alignment }: Section,
  ): void => {
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

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function align(offset: number): number {
  return Math.ceil(offset / 8) * 8;
}
