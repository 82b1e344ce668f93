import { type ImageErrorCode, imageErrorCodes } from './image-error-codes.js';

const maxLength = 200;

/**
 * A refusal or failure of a pull. The message has names and values of the configuration, the request and verified
 * documents, and never text that a server chose: it goes into logs.
 */
export class ImageError extends Error {
  readonly code: ImageErrorCode;

  constructor(code: ImageErrorCode, message: string) {
    super(message);
    this.name = 'ImageError';
    this.code = code;
  }

  /** What the operator can do, as an imperative. */
  get remedy(): string {
    return imageErrorCodes[this.code].remedy;
  }
}

/** Reports whether an error is an ImageError with one of the codes. */
export function hasImageCode(error: unknown, ...codes: readonly ImageErrorCode[]): error is ImageError {
  return error instanceof ImageError && codes.includes(error.code);
}

/** Quotes a value for a message: one line of printable ASCII, cut when it is long. */
export function quoted(value: string): string {
  const cut = value.length > maxLength ? `${value.slice(0, maxLength)}…` : value;
  const escaped = JSON.stringify(cut).replaceAll(
    /[^\x20-\x7e\u2026]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return escaped;
}
