export { canonicalJson, parseCanonicalJson } from './claims/canonical-json.js';
export { type Claims, claimsDigest, encodeClaims, parseClaims, reportDataOf } from './claims/claims.js';
export { EvidenceFormError } from './evidence-error.js';
export { type Collateral, noCollateral, parseCollateral } from './collateral/collateral.js';
export type { Link, LinkState } from './link.js';
export { parseSnpCertificateTable } from './snp/certificate-table.js';
export { parseSnpReport, type SnpReport } from './snp/report.js';
export { parseSnpValues, type SnpValues } from './snp/values.js';
export {
  type SnpEvidence,
  type SnpExpectation,
  type SnpLink,
  snpLinks,
  type SnpVerification,
  verifySnp,
} from './snp/verify-snp.js';
export { parseTdxQuote, type TdxQuote, withoutPadding } from './tdx/quote.js';
export { parseTdxValues, type TdxValues } from './tdx/values.js';
export {
  type TdxExpectation,
  type TdxLink,
  tdxLinks,
  type TdxVerification,
  verifyTdx,
} from './tdx/verify-tdx.js';
