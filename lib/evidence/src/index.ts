export {
  type Bundle,
  encodeBundle,
  type EvidenceKind,
  type KindBundle,
  parseBundle,
  type SnpBundle,
  type TdxBundle,
  type TpmBundle,
} from './bundle.js';
export { type Claims, claimsDigest, encodeClaims, parseClaims, reportDataOf } from './claims.js';
export { type AgentKeys, keysEvent, separatorEvent } from './events/agent-event.js';
export type { LoggedEvent } from './events/event-log.js';
export { parseTcgLog } from './events/event-log.js';
export { parseReferenceValues, type ReferenceValues } from './verify/values.js';
export type { ClaimExpectations } from './verify/verify-claims.js';
export {
  type Verification,
  verifyEvidence,
  type VerifierInputs,
} from './verify/verify-evidence.js';
export { EvidenceFormError } from './evidence-error.js';
export { type Collateral, noCollateral, parseCollateral } from './collateral/collateral.js';
export type { Link, LinkState } from './link.js';
export { parseSnpCertificateTable } from './snp/report.js';
export { parseSnpReport, type SnpReport } from './snp/report.js';
export { parseSnpValues, type SnpValues } from './snp/values.js';
export {
  type SnpEvidence,
  type SnpExpectation,
  type SnpLink,
  snpLinks,
  type SnpVerification,
  verifySnp,
} from './verify/verify-snp.js';
export { splitCertificates } from './tpm/ak-certificate.js';
export { attestationKeyName } from './tpm/tpm-structures.js';
export { parseTdxQuote, type TdxQuote, withoutPadding } from './tdx/quote.js';
export { parseTdxValues, type TdxValues } from './tdx/values.js';
export {
  type TdxExpectation,
  type TdxLink,
  tdxLinks,
  type TdxVerification,
  verifyTdx,
} from './verify/verify-tdx.js';
export { sampleMessage, trusteeValues } from './trustee/reference-message.js';
export { resourcePolicy } from './trustee/resource-policy.js';
