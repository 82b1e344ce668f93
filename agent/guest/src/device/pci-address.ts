const format = /^([0-9a-f]{1,4}):([0-9a-f]{1,2}):([0-9a-f]{1,2})(?:\.([0-7]))?$/i;

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
