import { type ImageErrorCode, imageErrorCodes } from './image-error-codes.js';

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
