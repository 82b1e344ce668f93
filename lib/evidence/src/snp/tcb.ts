/** Processor families with an authority of their own at AMD. Siena and Bergamo belong to Genoa. */
export const snpProducts = ['Milan', 'Genoa', 'Turin'] as const;

/** The names of the parts, which `minimum_tcb` of a values file uses, too. FMC exists on Turin only. */
const tcbParts = ['fmc', 'bootloader', 'tee', 'snp', 'microcode'] as const;

export type TcbPart = (typeof tcbParts)[number];

/** Security patch levels of a platform's firmware. */
export type SnpTcb = Readonly<Partial<Record<TcbPart, number>>>;

/** The byte of each part in a TCB_VERSION (AMD 56860); the other bytes are reserved. */
const layouts: Readonly<Record<SnpProduct, Readonly<Partial<Record<TcbPart, number>>>>> = {
  Milan: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
  Genoa: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
  Turin: { fmc: 0, bootloader: 1, tee: 2, snp: 3, microcode: 7 },
};

export function tcbPartsOf(product: SnpProduct): readonly TcbPart[] {
  return tcbParts.filter((part) => layouts[product][part] !== undefined);
}

/** Returns the levels in a TCB_VERSION of 8 bytes; undefined if a reserved byte is not zero. */
export function decodeTcb(bytes: Uint8Array, product: SnpProduct): SnpTcb | undefined {
  const layout = layouts[product];
  const reserved = bytes.filter((_, at) => !Object.values(layout).includes(at));
  if (reserved.some((byte) => byte !== 0)) return undefined;
  return mapParts(product, (part) => bytes[layout[part] ?? 0] ?? 0);
}

export function equalTcb(one: SnpTcb, other: SnpTcb): boolean {
  return tcbParts.every((part) => one[part] === other[part]);
}

/** Returns the first part that is below a minimum; undefined if none is. */
export function partBelow(tcb: SnpTcb, minimum: SnpTcb): TcbPart | undefined {
  return tcbParts.find((part) => (tcb[part] ?? 0) < (minimum[part] ?? 0));
}

export function tcbText(tcb: SnpTcb): string {
  return tcbParts
    .filter((part) => tcb[part] !== undefined)
    .map((part) => `${part} ${tcb[part]}`)
    .join(', ');
}

export function mapParts(product: SnpProduct, level: (part: TcbPart) => number): SnpTcb {
  return Object.fromEntries(tcbPartsOf(product).map((part) => [part, level(part)]));
}

export type SnpProduct = (typeof snpProducts)[number];

/** Family and model are the extended and the base value together, as CPUID leaf 1 combines them. */
export interface Cpu {
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
}

/** Returns the product of a processor; undefined for one that is not known. */
export function productOfCpu({ family, model }: Cpu): SnpProduct | undefined {
  if (family === 0x19 && model <= 0x0f) return 'Milan';
  if (family === 0x19 && ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf)))
    return 'Genoa';
  if (family === 0x1a && model <= 0x11) return 'Turin';
  return undefined;
}
