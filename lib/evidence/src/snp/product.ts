/** Processor families with an authority of their own at AMD. Siena and Bergamo belong to Genoa. */
export const snpProducts = ['Milan', 'Genoa', 'Turin'] as const;

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
