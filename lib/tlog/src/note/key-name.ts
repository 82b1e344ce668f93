import { quote } from '../encoding/quote.js';
import { TextFormError } from '../encoding/text-form-error.js';

/**
 * Reports whether a text can be the name of a key: not empty, without Unicode spaces and `+` (C2SP signed-note v1.0.0,
 * "Format"), and with characters only that a note can have.
 */
export function isKeyName(name: string): boolean {
  return name !== '' && !/[\p{White_Space}\p{Surrogate}\u0000-\u001f+]/u.test(name);
}

/** Throws a TextFormError if a text cannot be the name of a key. */
export function requireKeyName(name: string): void {
  if (!isKeyName(name))
    throw new TextFormError(`${quote(name)} is not the name of a key: it is empty, or has a space or +`);
}
