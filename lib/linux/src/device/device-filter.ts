import { Buffer } from 'node:buffer';
import { Descriptor } from '../fs/descriptor.js';
import { At, Open } from '../syscalls/constants.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** The number of a character device. */
export interface CharacterDevice {
  readonly major: number;
  readonly minor: number;
}

/** Instructions of linux/bpf.h and linux/bpf_common.h, with the names of the kernel's documentation. */
const Code = {
  LoadWord: 0x61, // BPF_LDX | BPF_W | BPF_MEM
  And32: 0x54, // BPF_ALU | BPF_AND | BPF_K
  ShiftRight32: 0x74, // BPF_ALU | BPF_RSH | BPF_K
  Jump: 0x05, // BPF_JMP | BPF_JA
  JumpIfSet: 0x45, // BPF_JMP | BPF_JSET | BPF_K
  JumpIfNotEqual: 0x55, // BPF_JMP | BPF_JNE | BPF_K
  Move: 0xb7, // BPF_ALU64 | BPF_MOV | BPF_K
  Exit: 0x95, // BPF_JMP | BPF_EXIT
} as const;

const Register = { Result: 0, Context: 1, Type: 2, Access: 3, Major: 4, Minor: 5 } as const;

/** Offsets in struct bpf_cgroup_dev_ctx; the first word is `access << 16 | type`. */
const Context = { accessAndType: 0, major: 4, minor: 8 } as const;

const Type = { Block: 1, Character: 2 } as const;
const Access = { MakeNode: 1, Read: 2, Write: 4 } as const;

interface Operands {
  readonly to?: number;
  readonly from?: number;
  /** Instructions to jump over. */
  readonly skip?: number;
  readonly value?: number;
}

function instruction(code: number, { to = 0, from = 0, skip = 0, value = 0 }: Operands = {}): Buffer {
  const encoded = Buffer.alloc(8);
  encoded.writeUInt8(code, 0);
  encoded.writeUInt8(to | (from << 4), 1);
  encoded.writeInt16LE(skip, 2);
  encoded.writeInt32LE(value, 4);
  return encoded;
}

const load = (to: number, offset: number): Buffer =>
  instruction(Code.LoadWord, { to, from: Register.Context, skip: offset });
const answer = (value: 0 | 1): readonly Buffer[] => [
  instruction(Code.Move, { to: Register.Result, value }),
  instruction(Code.Exit),
];

/** Denies an access of the kind `access` to a device with these values of registers. */
function deny(
  access: number,
  values: readonly (readonly [register: number, value: number])[],
): readonly Buffer[] {
  const end = [
    instruction(Code.JumpIfSet, { to: Register.Access, value: access, skip: 1 }),
    instruction(Code.Jump, { skip: 2 }),
    ...answer(0),
  ];
  const compare = values.map(([to, value], index) =>
    instruction(Code.JumpIfNotEqual, { to, value, skip: values.length - 1 - index + end.length }),
  );
  return [...compare, ...end];
}

/**
 * Returns a BPF program for a cgroup that denies to create nodes of block devices and to open the given character devices,
 * and leaves everything else to the other programs of the cgroup.
 */
export function deviceFilter(closed: readonly CharacterDevice[]): Buffer {
  return Buffer.concat([
    load(Register.Type, Context.accessAndType),
    instruction(Code.And32, { to: Register.Type, value: 0xffff }),
    load(Register.Access, Context.accessAndType),
    instruction(Code.ShiftRight32, { to: Register.Access, value: 16 }),
    load(Register.Major, Context.major),
    load(Register.Minor, Context.minor),
    ...deny(Access.MakeNode, [[Register.Type, Type.Block]]),
    ...closed.flatMap(({ major, minor }) =>
      deny(Access.Read | Access.Write, [
        [Register.Type, Type.Character],
        [Register.Major, major],
        [Register.Minor, minor],
      ]),
    ),
    ...answer(1),
  ]);
}

/** Adds a device filter to the directory of a cgroup v2, beside those that its OCI runtime has attached. */
export function attachDeviceFilter(syscalls: Syscalls, directory: string, filter: Uint8Array): void {
  const flags = Open.ReadOnly | Open.Directory | Open.CloseOnExec;
  const cgroup = new Descriptor(syscalls, syscalls.openat(At.Cwd, directory, flags));
  try {
    const program = new Descriptor(syscalls, syscalls.loadDeviceFilter(filter));
    try {
      syscalls.attachDeviceFilter(cgroup.fd, program.fd);
    } finally {
      program.close();
    }
  } finally {
    cgroup.close();
  }
}
