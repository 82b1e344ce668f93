import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError } from '../guest-error.js';

/** A slot and function on one bus. */
interface PciSlot {
  readonly slot: number;
  readonly function: number;
}

/**
 * The way to a device as Kata's runtimes give it, `02/01`: a slot on the root bus, then one behind each bridge; all
 * numbers are hexadecimal. With NUMA the number of the root complex comes first, and is 20 or more (Kata 4.1,
 * src/agent/src/linux_abi.rs).
 */
export interface PciPath {
  /** Two hexadecimal digits. */
  readonly rootComplex: string;
  readonly slots: readonly PciSlot[];
}

const firstExpander = 0x20;

export function parsePciPath(text: string): PciPath {
  const parts = text.split('/');
  const first = parts[0] ?? '';
  const expander =
    parts.length >= 3 && /^[0-9a-f]{2}$/i.test(first) && Number.parseInt(first, 16) >= firstExpander;
  const slots = (expander ? parts.slice(1) : parts).map((part) => parseSlot(part, text));
  return { rootComplex: expander ? first.toLowerCase() : '00', slots };
}

function parseSlot(part: string, text: string): PciSlot {
  const match = /^([0-9a-f]{1,2})(?:\.([0-7]))?$/i.exec(part);
  const slot = Number.parseInt(match?.[1] ?? 'ff', 16);
  if (match === null || slot > 0x1f) {
    throw new GuestError(
      'invalid',
      `PCI path ${JSON.stringify(text.slice(0, 80))} must be slots from 00 to 1f with / between them, as 02/01`,
    );
  }
  return { slot, function: Number(match[2] ?? 0) };
}

/**
 * The directory of the device at the end of a path, below `sys` (`/sys`). Undefined: it, or a bridge before it, has
 * not appeared. Which number a bus behind a bridge has is the kernel's choice, so each bridge is asked.
 */
export function pciDirectory({ rootComplex, slots }: PciPath, sys: string): string | undefined {
  let directory: string | undefined = rootDirectory(rootComplex, sys);
  let bus = `0000:${rootComplex}`;
  for (const [index, { slot, function: number }] of slots.entries()) {
    if (directory === undefined) return undefined;
    if (index > 0) {
      const behind = names(join(directory, 'pci_bus'))[0];
      if (behind === undefined) return undefined;
      bus = behind;
    }
    const address = `${bus}:${slot.toString(16).padStart(2, '0')}.${number}`;
    directory = join(directory, address);
    if (!existsSync(directory)) return undefined;
  }
  return directory;
}

/** On aarch64 a root complex that comes from the device tree lies below its platform device. */
function rootDirectory(rootComplex: string, sys: string): string | undefined {
  const direct = join(sys, 'devices', `pci0000:${rootComplex}`);
  if (existsSync(direct)) return direct;
  const platform = join(sys, 'devices/platform');
  return names(platform)
    .filter((name) => name.endsWith('.pcie'))
    .map((name) => join(platform, name, `pci0000:${rootComplex}`))
    .find((path) => existsSync(path));
}

/** The entries of a directory that need not be there. */
export function names(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}
