/** Evidence, claims or a values file do not have the form that they must have. The message names the part and its fault. */
export class EvidenceFormError extends Error {
  override readonly name = 'EvidenceFormError';
}
