import type { EvidenceSettings } from '../configuration.js';
import { evidenceSources, nvIndex } from '../value-types/evidence.js';
import type { Setting } from './setting.js';

const common = {
  section: 'evidence',
  opensGuest: false,
  override: undefined,
  built: 'yes',
  merge: 'base only',
} as const;

/** The rows of `[evidence]`. */
export const evidenceSettings: { readonly [P in keyof EvidenceSettings]: Setting<EvidenceSettings[P]> } = {
  sources: {
    ...common,
    key: 'sources',
    type: evidenceSources,
    default: [],
    purpose:
      'What signs the evidence that Attest returns: reports of SNP and TDX (`configfs-tsm`), quotes of TDX by the attestation agent (`attestation-agent`), quotes of a TPM (`tpm`, which needs `[measurement] tpm`). Those that the guest does not have are left out.',
    example: '["configfs-tsm"]',
  },
  require: {
    ...common,
    key: 'require',
    type: evidenceSources,
    default: [],
    purpose: 'Sources without which the agent does not start. All must be in `sources`.',
    example: '["configfs-tsm"]',
  },
  akCertificate: {
    ...common,
    key: 'ak_certificate',
    type: nvIndex,
    default: 'off',
    purpose:
      'The NV index of the TPM with the certificate of its attestation key, and of the authorities above it, in DER. They are added to evidence; verifiers with a CA of theirs then need not know the key.',
    example: '0x1800100',
  },
};
