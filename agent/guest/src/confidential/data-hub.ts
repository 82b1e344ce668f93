/** A request to mount a disk that is encrypted with a key which exists in the guest's memory only. */
export interface SecureMount {
  /** `MAJOR:MINOR`. */
  readonly device: string;
  /** Options of mkfs.ext4. */
  readonly makeOptions: string;
  /** Where it is mounted: an existing directory of the agent. */
  readonly mountPoint: string;
}

/**
 * The confidential data hub of the guest (docs/records/coco-facts.md). Failures are GuestErrors, whose messages have nothing of a secret.
 */
export interface DataHub {
  /** Returns the plain text of a sealed secret. */
  unsealSecret(sealed: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array>;
  secureMount(mount: SecureMount, signal: AbortSignal | undefined): Promise<void>;
}
