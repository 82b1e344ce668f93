/**
 * The signature types that are used here, by their identifier bytes (C2SP signed-note v1.0.0, "Signature types"). Logs
 * sign with the first, witnesses with the second (C2SP tlog-cosignature v1.0.1, "Format").
 */
export const signatureTypes = { ed25519: 0x01, 'cosignature/v1': 0x04 } as const;

export type SignatureType = keyof typeof signatureTypes;
