const form = /^spki:sha256:([0-9a-fA-F]{64})$/;

/** Returns the hash of a pin `spki:sha256:HEX` in lower case; undefined if the text is not one. */
export function parsePin(text: string): string | undefined {
  return form.exec(text)?.[1]?.toLowerCase();
}

/** Returns the pin of a public key's SHA-256 in hex. */
export function formatPin(hash: string): string {
  return `spki:sha256:${hash}`;
}
