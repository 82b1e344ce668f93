import { writeFileSync } from 'node:fs';

/** A system call of x86_64, with its first arguments. */
export interface TriedCall {
  readonly number: number;
  readonly values?: readonly [first: number, second?: number, third?: number];
}

const base = 0x400000;
const headersSize = 64 + 56;
const exitGroup = 231;

/** Writes a static program for x86_64 that makes calls, and writes the error number of each, or what else it returned, as a byte to stderr. */
export function writeCallProgram(path: string, calls: readonly TriedCall[]): void {
  const code = Buffer.concat([
    Buffer.from('4881ec00020000', 'hex'), // sub rsp, 512
    ...calls.flatMap((call, index) => [
      syscall(call),
      Buffer.from('f7d8888424', 'hex'), // neg eax; mov [rsp + index], al
      word(index),
    ]),
    Buffer.from('4889e6', 'hex'), // mov rsi, rsp
    immediate(0xba, calls.length),
    immediate(0xbf, 2),
    immediate(0xb8, 1),
    Buffer.from('0f05', 'hex'),
    syscall({ number: exitGroup }),
  ]);
  writeFileSync(path, Buffer.concat([headers(headersSize + code.length), code]), { mode: 0o755 });
}

function syscall({ number, values: [first = 0, second = 0, third = 0] = [0] }: TriedCall): Buffer {
  return Buffer.concat([
    immediate(0xbf, first), // edi
    immediate(0xbe, second), // esi
    immediate(0xba, third), // edx
    Buffer.from('4531d2', 'hex'), // xor r10d, r10d
    immediate(0xb8, number), // eax
    Buffer.from('0f05', 'hex'),
  ]);
}

function immediate(opcode: number, value: number): Buffer {
  return Buffer.concat([Buffer.from([opcode]), word(value)]);
}

function word(value: number): Buffer {
  const encoded = Buffer.alloc(4);
  encoded.writeInt32LE(value | 0);
  return encoded;
}

/** An ELF header, and that of one segment with the whole file. */
function headers(size: number): Buffer {
  const bytes = Buffer.alloc(headersSize);
  bytes.write('7f454c46020101', 0, 'hex');
  bytes.writeUInt16LE(2, 16); // ET_EXEC
  bytes.writeUInt16LE(62, 18); // EM_X86_64
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(BigInt(base + headersSize), 24);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(64, 52);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(1, 64); // PT_LOAD
  bytes.writeUInt32LE(5, 68); // readable, executable
  bytes.writeBigUInt64LE(BigInt(base), 80);
  bytes.writeBigUInt64LE(BigInt(base), 88);
  bytes.writeBigUInt64LE(BigInt(size), 96);
  bytes.writeBigUInt64LE(BigInt(size), 104);
  bytes.writeBigUInt64LE(4096n, 112);
  return bytes;
}
