export { CertificateError, type CertificateFault } from './certificate-error.js';
export type { AlternativeName } from './certificate/alternative-names.js';
export { Oid } from './certificate/extension-oids.js';
export {
  basicConstraints,
  type CertificateContent,
  encodeName,
  type Extension,
  extendedKeyUsage,
  keyUsage,
  makeCertificate,
  makeSelfSigned,
  type NameAttribute,
  noExpiry,
  type SelfSignedOptions,
  subjectAltName,
} from './certificate/make-certificate.js';
export { canonicalSerial, type Certificate, parseCertificate } from './certificate/parse-certificate.js';
export { parseRevocationList, type RevocationList } from './certificate/parse-revocation-list.js';
export { readCertificate } from './certificate/read-certificate.js';
export { certificatePem, certificatesOfPem, PemError, revocationListsOfPem } from './certificate/pem.js';
export { Tag } from './der/tag.js';
export { canonicalName, NameSyntaxError } from './name/canonical-name.js';
export { type Attribute, commonNames, type DistinguishedName } from './name/distinguished-name.js';
export { formatName } from './name/format-name.js';
export { grantsPeer, namesPeer, svidFault } from './peers/match-peer.js';
export {
  type PeerEntry,
  PeerEntryError,
  peerEntryForms,
  parsePeerEntries,
  parsePeerEntry,
} from './peers/peer-entry.js';
export { formatPin, parsePin } from './peers/pin.js';
