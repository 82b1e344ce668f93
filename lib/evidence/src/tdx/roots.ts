/**
 * SHA-256 of the public key (SubjectPublicKeyInfo) of the Intel SGX Root CA, in hex:
 * `https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer`. Compared in two copies of
 * this file: go-tdx-guest 0.3, dcap-qvl 0.5.
 */
export const intelRoots: readonly string[] = [
  'a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e',
];

/** MRSIGNER and ISVPRODID of Intel's TD quoting enclave, as Intel's signed identity `TD_QE` has them. */
export interface QuotingEnclave {
  readonly mrSigner: string;
  readonly isvProdId: number;
}

export const intelQuotingEnclave: QuotingEnclave = {
  mrSigner: 'dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5',
  isvProdId: 2,
};
