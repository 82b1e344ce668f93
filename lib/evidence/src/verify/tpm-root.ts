import { checkRevocation } from '../chain/revocation.js';
import { operatorsScheme } from '../chain/signature-scheme.js';
import { dateText, validityFault } from '../chain/chain-certificate.js';
import type { Collateral } from '../collateral/collateral.js';
import { checked, failed, type Link, notChecked, ok } from '../link.js';
import type { TpmRoots, TpmTuple } from './values.js';
import { type AkChain, findAkChain } from '../tpm/ak-certificate.js';
import type { AttestationKey } from '../tpm/tpm-structures.js';

/** The attestation key in the claims that a report of the processor binds. */
export interface ReportedKey {
  readonly kind: 'snp' | 'tdx';
  /** Its name in hex; undefined: the claims name none. */
  readonly ak: string | undefined;
  /** A link of the report that is waived, and on which its claims rest. */
  readonly unproven?: string;
}

/** What says that a key is of a TPM that the verifier trusts. */
export interface RootInputs {
  readonly tuples: readonly TpmTuple[];
  readonly roots: TpmRoots;
  /** Undefined: there is no report, or it is not verified. */
  readonly reported: ReportedKey | undefined;
  readonly collateral: Collateral;
  /** Milliseconds of the epoch. */
  readonly at: number | undefined;
}

/**
 * Returns whether the key of a quote is pinned, rooted or unrooted. A chain of certificates has two further links, validity and
 * revocation, so that each can be waived by its name.
 */
export function checkTpmRoot(
  { name: ak, key }: AttestationKey,
  certificates: readonly Uint8Array[],
  { tuples, roots, reported, collateral, at }: RootInputs,
): readonly Link[] {
  const name = 'tpm.root';
  if (tuples.some((tuple) => tuple.ak === ak)) return [ok(name, 'the key is pinned by you')];
  const chain =
    roots.certificates.length === 0
      ? undefined
      : findAkChain(key, [...collateral.certificates, ...certificates], roots.certificates);
  if (chain !== undefined && typeof chain !== 'string') return rootedByChain(chain, collateral, at);
  if (roots.reports && reported !== undefined)
    return [
      reported.ak === ak && reported.unproven !== undefined
        ? notChecked(
            name,
            `the claims that the ${reported.kind} report binds name the key, and rest on ${reported.unproven}, which is waived`,
          )
        : reported.ak === ak
          ? ok(name, `rooted: the claims that the ${reported.kind} report binds name the key`)
          : failed(
              name,
              `the claims that the ${reported.kind} report binds name the key ${reported.ak ?? 'none'}, and the quote is by ${ak}`,
            ),
    ];
  if (chain !== undefined) return [failed(name, chain)];
  return [
    notChecked(
      name,
      `unrooted: no tuple of the values file has the key ${ak}, and ${missingRoot(roots)}; a TPM that the host runs proves nothing against the host`,
    ),
  ];
}

function missingRoot({ certificates, reports }: TpmRoots): string {
  const missing = [
    ...(certificates.length > 0 ? ['no certificate is of this key'] : []),
    ...(reports ? ['no verified report of SNP or TDX names it'] : []),
  ];
  return missing.length === 0 ? 'its tpm_roots trusts nothing' : missing.join(', and ');
}

function rootedByChain(
  { key, authorities }: AkChain,
  collateral: Collateral,
  at: number | undefined,
): readonly Link[] {
  const all = [key, ...authorities];
  const issued = authorities.map((issuer, index) => ({ issuer, certificates: all.slice(index, index + 1) }));
  const revocations = issued.map((each) =>
    checkRevocation([each], {
      lists: collateral.revocationLists,
      scheme: operatorsScheme(
        collateral.revocationLists.find((list) => Buffer.compare(list.issuer, each.issuer.subject) === 0)
          ?.algorithm ?? each.issuer.algorithm,
      ),
      at,
    }),
  );
  const worst =
    revocations.find(({ state }) => state === 'failed') ??
    revocations.find(({ state }) => state === 'not checked');
  return [
    ok(
      'tpm.root',
      `rooted: ${all.map(({ commonName }) => commonName).join(' by ')}, a CA of the values file`,
    ),
    at === undefined
      ? notChecked('tpm.validity', 'no time was given')
      : checked('tpm.validity', validityFault(all, at), `valid at ${dateText(at)}`),
    {
      name: 'tpm.revocation',
      ...(worst ?? { state: 'ok', what: revocations.map(({ what }) => what).join('; ') }),
    },
  ];
}
