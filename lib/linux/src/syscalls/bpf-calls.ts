import { arch } from 'node:process';
import { bytes, cString } from './c-memory.js';
import type { CLibrary } from './koffi.js';

/** Commands of bpf(2) for the programs that decide about a cgroup's access to devices. */
export interface BpfCalls {
  /** BPF_PROG_LOAD: returns a descriptor of a program of type BPF_PROG_TYPE_CGROUP_DEVICE, 8 bytes per instruction. */
  loadDeviceFilter(instructions: Uint8Array): number;
  /**
   * BPF_PROG_ATTACH with BPF_F_ALLOW_MULTI: adds a program to those of the cgroup and its descendants, all of which must
   * allow an access. It remains until the cgroup is removed.
   */
  attachDeviceFilter(cgroup: number, filter: number): void;
}

const SysBpf = arch === 'arm64' ? 280 : 321;
const Command = { LoadProgram: 5, AttachProgram: 8 } as const;
const ProgramCgroupDevice = 15;
const AttachCgroupDevice = 6;
const AllowMulti = 1 << 1;
const instructionSize = 8;

/** These calls of the C library. */
export function bpfCalls(library: CLibrary): BpfCalls {
  const { check } = library;
  const bpf = library.find('long syscall(long number, int command, void *attributes, unsigned int size)');
  return {
    loadDeviceFilter(instructions) {
      const program = bytes(instructions.length);
      program.set(instructions);
      const license = cString('bpf', 'Apache-2.0');
      const attributes = bytes(48); // union bpf_attr, up to prog_flags
      attributes.writeUInt32LE(ProgramCgroupDevice, 0);
      attributes.writeUInt32LE(instructions.length / instructionSize, 4);
      attributes.writeBigUInt64LE(library.address(program), 8);
      attributes.writeBigUInt64LE(library.address(license), 16);
      return check(
        'bpf(BPF_PROG_LOAD)',
        bpf(SysBpf, Command.LoadProgram, attributes, attributes.length),
        `${program.length / instructionSize} instructions, license ${license.toString('latin1', 0, license.length - 1)}`,
      );
    },
    attachDeviceFilter(cgroup, filter) {
      const attributes = bytes(16); // target_fd, attach_bpf_fd, attach_type, attach_flags
      attributes.writeInt32LE(cgroup, 0);
      attributes.writeInt32LE(filter, 4);
      attributes.writeUInt32LE(AttachCgroupDevice, 8);
      attributes.writeUInt32LE(AllowMulti, 12);
      check('bpf(BPF_PROG_ATTACH)', bpf(SysBpf, Command.AttachProgram, attributes, attributes.length));
    },
  };
}
