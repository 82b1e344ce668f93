import { Buffer } from 'node:buffer';
import { arch } from 'node:process';
import { constants } from 'node:os';

/** Allows a call if the argument, masked, has one of these values. The kernel's low 32 bits are compared. */
export interface ArgumentRule {
  /** 0 to 5. */
  readonly argument: number;
  readonly mask: number;
  readonly values: readonly number[];
}

/** What a process may still ask the kernel for. A call that is not mentioned fails with ENOSYS. */
export interface SeccompPolicy {
  /** By number of this architecture; with a rule, other arguments fail with EPERM. */
  readonly allowed: ReadonlyMap<number, ArgumentRule | undefined>;
  /** Ends the process: no correct program of this kind makes these calls. */
  readonly killed: readonly number[];
}

/** Instructions of linux/bpf_common.h. */
const Code = {
  LoadWord: 0x20, // BPF_LD | BPF_W | BPF_ABS
  And: 0x54, // BPF_ALU | BPF_AND | BPF_K
  JumpIfEqual: 0x15, // BPF_JMP | BPF_JEQ | BPF_K
  JumpIfGreaterOrEqual: 0x35, // BPF_JMP | BPF_JGE | BPF_K
  Return: 0x06, // BPF_RET | BPF_K
} as const;

/** Offsets in struct seccomp_data. */
const Data = { number: 0, architecture: 4, arguments: 16 } as const;

const Action = { KillProcess: 0x80000000, Errno: 0x00050000, Allow: 0x7fff0000 } as const;
const architecture = arch === 'arm64' ? 0xc00000b7 : 0xc000003e;
/** Numbers from here on belong to the x32 ABI, which has the same architecture. */
const x32 = 0x40000000;

interface Jumps {
  readonly matched?: number;
  readonly other?: number;
}

function instruction(code: number, value: number, { matched = 0, other = 0 }: Jumps = {}): Buffer {
  const encoded = Buffer.alloc(8); // struct sock_filter: code, jump if true, jump if false, value
  encoded.writeUInt16LE(code, 0);
  encoded.writeUInt8(matched, 2);
  encoded.writeUInt8(other, 3);
  encoded.writeUInt32LE(value >>> 0, 4);
  return encoded;
}

const load = (offset: number): Buffer => instruction(Code.LoadWord, offset);
const answer = (action: number): Buffer => instruction(Code.Return, action);
const allow = answer(Action.Allow);
const kill = answer(Action.KillProcess);
const fail = (errno: number): Buffer => answer(Action.Errno | errno);

/** Decides about one number; another number jumps over it. */
function forNumber(number: number, decision: readonly Buffer[]): readonly Buffer[] {
  return [instruction(Code.JumpIfEqual, number, { other: decision.length }), ...decision];
}

function byArgument({ argument, mask, values }: ArgumentRule): readonly Buffer[] {
  return [
    load(Data.arguments + argument * 8),
    instruction(Code.And, mask),
    ...values.flatMap((value) => [instruction(Code.JumpIfEqual, value, { other: 1 }), allow]),
    fail(constants.errno.EPERM),
  ];
}

/** Loads the number of the call; calls of another architecture end the process. */
const prologue: readonly Buffer[] = [
  load(Data.architecture),
  instruction(Code.JumpIfEqual, architecture, { matched: 1 }),
  kill,
  load(Data.number),
  instruction(Code.JumpIfGreaterOrEqual, x32, { other: 1 }),
  kill,
];

/**
 * Returns a filter that allows every call but these, which fail as if the kernel did not have them. `limited`: calls that fail with EPERM
 * with other arguments than those of their rule.
 */
export function missingCallsFilter(
  missing: readonly number[],
  limited: ReadonlyMap<number, ArgumentRule> = new Map(),
): Buffer {
  const absent = fail(constants.errno.ENOSYS);
  return Buffer.concat([
    ...prologue,
    ...missing.flatMap((number) => forNumber(number, [absent])),
    ...[...limited].flatMap(([number, rule]) => forNumber(number, byArgument(rule))),
    allow,
  ]);
}

/** Returns a policy as classic BPF for `Syscalls.seccomp`. Calls of another architecture end the process. */
export function seccompFilter({ allowed, killed }: SeccompPolicy): Buffer {
  return Buffer.concat([
    ...prologue,
    ...[...allowed].flatMap(([number, rule]) =>
      forNumber(number, rule === undefined ? [allow] : byArgument(rule)),
    ),
    ...killed.flatMap((number) => forNumber(number, [kill])),
    fail(constants.errno.ENOSYS),
  ]);
}
