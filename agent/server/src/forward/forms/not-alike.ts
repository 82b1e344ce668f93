/**
 * Why a request is not forwarded: a part of it is not one that Kata's runtimes send, or Kata's agent reads it otherwise than the
 * rules did. `malformed` becomes INVALID_ARGUMENT: no agent could carry it out as written. `refused` becomes PERMISSION_DENIED,
 * and `unserved` UNIMPLEMENTED.
 */
export class NotAlike extends Error {
  override readonly name = 'NotAlike';
  readonly kind: 'malformed' | 'refused' | 'unserved';

  constructor(kind: NotAlike['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** @param field the field of the request: `OCI.Mounts[2].options` */
export function malformed(field: string, why: string, help?: string): NotAlike {
  return new NotAlike('malformed', sentence(field, why, help));
}

export function refused(field: string, why: string, help?: string): NotAlike {
  return new NotAlike('refused', sentence(field, why, help));
}

function sentence(field: string, why: string, help: string | undefined): string {
  return `${field}: ${why}${help === undefined ? '' : `; help: ${help}`}`;
}

/** Returns a text in quotes, cut at 100 characters. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
