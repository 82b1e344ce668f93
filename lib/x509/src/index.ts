export { CertificateError, type CertificateFault } from './certificate-error.js';
export type { AlternativeName } from './certificate/alternative-names.js';
export { Oid } from './certificate/certificate-fields.js';
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
export {
  canonicalSerial,
  type CertificateFields,
  parseCertificateFields,
} from './certificate/certificate-fields.js';
export { type Certificate, parseCertificate } from './certificate/parse-certificate.js';
export {
  parseRevocationList,
  parseRevocationListFields,
  type RevocationList,
  type RevocationListFields,
} from './certificate/parse-revocation-list.js';
export { readCertificate } from './certificate/parse-certificate.js';
export { certificatePem, certificatesOfPem, PemError, revocationListsOfPem } from './certificate/pem.js';
export { DerReader } from './der/der-reader.js';
export { bitString, der, integer, objectIdentifier, octetString, sequence, time } from './der/der-writer.js';
export { contextTag, Tag } from './der/tag.js';
export { canonicalName, NameSyntaxError } from './name/canonical-name.js';
export {
  type Attribute,
  commonNames,
  type DistinguishedName,
  parseWholeName,
} from './name/distinguished-name.js';
export { formatName } from './name/distinguished-name.js';
export { oneWord, subjectWord } from './name/distinguished-name.js';
export { pathFault } from './path/path-fault.js';
export { grantsPeer, namesPeer, svidFault } from './peers/match-peer.js';
export {
  type PeerEntry,
  PeerEntryError,
  peerEntryForms,
  parsePeerEntries,
  parsePeerEntry,
} from './peers/peer-entry.js';
export { formatPin, parsePin } from './peers/peer-entry.js';
