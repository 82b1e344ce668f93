import type { SnpProduct } from './product.js';

/** The root of a product's chains (ARK). */
export interface SnpRoot {
  readonly product: SnpProduct;
  /** SHA-256 of its public key (SubjectPublicKeyInfo), in hex. */
  readonly spki: string;
}

/**
 * AMD's roots: the second certificate of `https://kdsintf.amd.com/vcek/v1/<product>/cert_chain`, which is also the second of
 * `/vlek/v1/<product>/cert_chain`. Compared in three copies of these files: go-sev-guest 0.15, the sev crate 7, Trustee.
 */
export const amdRoots: readonly SnpRoot[] = [
  { product: 'Milan', spki: '9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9' },
  { product: 'Genoa', spki: '429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831' },
  { product: 'Turin', spki: '4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08' },
];
