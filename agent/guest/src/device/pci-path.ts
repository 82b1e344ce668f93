import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';

const format = /^([0-9a-f]{1,4}):([0-9a-f]{1,2}):([0-9a-f]{1,2})(?:\.([0-7]))?$/i;

/** A slot and function on one bus. */
interface PciSlot {
  readonly slot: number;
  readonly function: number;
}

/**
 * The PCI path of a device in the format of Kata's runtimes, `02/01`: a slot on the root bus, then one behind each bridge, in
 * hexadecimal. With NUMA the number of the root complex comes first, 20 or more (Kata 4.1, src/agent/src/linux_abi.rs).
 */
export interface PciPath {
  /** Two hexadecimal digits. */
  readonly rootComplex: string;
  readonly slots: readonly PciSlot[];
}

const firstExpander = 0x20;

/** Domain and bus, then slot and function. */
const addressPattern = /^([0-9a-f]{4}:[0-9a-f]{2}):[0-9a-f]{2}\.[0-7]$/;

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
      `PCI path ${quotedWord(text)} must be slots from 00 to 1f separated by /, such as 02/01`,
    );
  }
  return { slot, function: Number(match[2] ?? 0) };
}

/**
 * Returns the directory of the device at a path, below `sys` (`/sys`). Undefined: the device or a bridge before it has not
 * appeared. The kernel numbers the buses behind bridges, so each bus number is read from the directory of its bridge.
 */
export function pciDirectory({ rootComplex, slots }: PciPath, sys: string): string | undefined {
  let directory: string | undefined = rootDirectory(rootComplex, sys);
  let bus = `0000:${rootComplex}`;
  for (const [index, { slot, function: number }] of slots.entries()) {
    if (directory === undefined) return undefined;
    if (index > 0) {
      const behind = busBehind(directory);
      if (behind === undefined) return undefined;
      bus = behind;
    }
    const address = `${bus}:${slot.toString(16).padStart(2, '0')}.${number}`;
    directory = join(directory, address);
    if (!existsSync(directory)) return undefined;
  }
  return directory;
}

/**
 * The bus behind a bridge: `0000:07`. A bridge of a device that was there at boot may have no directory `pci_bus` (Kata
 * 4.1, src/agent/src/device/mod.rs): its devices are all on that bus, and begin with its number.
 */
function busBehind(bridge: string): string | undefined {
  const [bus] = names(join(bridge, 'pci_bus'));
  if (bus !== undefined) return bus;
  const buses = new Set(names(bridge).flatMap((name) => addressPattern.exec(name)?.[1] ?? []));
  return buses.size === 1 ? [...buses][0] : undefined;
}

/** Returns the directory of a root complex. On aarch64, one from the device tree is below its platform device. */
function rootDirectory(rootComplex: string, sys: string): string | undefined {
  const direct = join(sys, 'devices', `pci0000:${rootComplex}`);
  if (existsSync(direct)) return direct;
  const platform = join(sys, 'devices/platform');
  return names(platform)
    .filter((name) => name.endsWith('.pcie'))
    .map((name) => join(platform, name, `pci0000:${rootComplex}`))
    .find((path) => existsSync(path));
}

/** Returns the sorted entries of a directory; none if it does not exist. */
export function names(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

/**
 * Returns a PCI address as the kernel writes it, `0000:1a:01.0`: domain, bus, slot and function in hexadecimal. Undefined:
 * the text is no address.
 */
export function pciAddress(text: string): string | undefined {
  const match = format.exec(text);
  if (match === null) return undefined;
  const [, domain = '', bus = '', slot = '', number = '0'] = match;
  if (Number.parseInt(slot, 16) > 0x1f) return undefined;
  const digits = (part: string, count: number): string => part.toLowerCase().padStart(count, '0');
  return `${digits(domain, 4)}:${digits(bus, 2)}:${digits(slot, 2)}.${number}`;
}
