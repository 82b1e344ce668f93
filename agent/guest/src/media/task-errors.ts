import { SyscallError, UnsafePathError } from '@kata-agent/linux';
import { GuestError, type GuestErrorKind, TooLargeToMirror } from '../guest-error.js';

/** An error as it is sent from a thread: `structuredClone` keeps neither its class nor its code. */
export interface SentError {
  readonly type: 'guest' | 'syscall' | 'unsafe-path' | 'too-large' | 'system' | 'other';
  readonly message: string;
  readonly kind?: GuestErrorKind;
  readonly code?: string;
  readonly errno?: number;
  readonly syscall?: string;
  readonly path?: string;
  readonly reason?: string;
  readonly cause?: SentError;
}

/** Returns an error in a form that another thread can receive. */
export function encodeError(error: unknown): SentError {
  if (!(error instanceof Error)) return { type: 'other', message: String(error) };
  const { message } = error;
  const cause = error.cause === undefined ? {} : { cause: encodeError(error.cause) };
  if (error instanceof GuestError) return { type: 'guest', message, kind: error.kind, ...cause };
  if (error instanceof SyscallError) {
    const { syscall, errno, path } = error;
    return { type: 'syscall', message, syscall, errno, ...(path === undefined ? {} : { path }) };
  }
  if (error instanceof UnsafePathError)
    return { type: 'unsafe-path', message, path: error.path, reason: error.reason, ...cause };
  if (error instanceof TooLargeToMirror) return { type: 'too-large', message };
  const { code, errno, syscall, path } = error as NodeJS.ErrnoException;
  if (code === undefined) return { type: 'other', message, ...cause };
  return {
    type: 'system',
    message,
    code,
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(path === undefined ? {} : { path }),
  };
}

/** Returns the error that a thread has sent. */
export function decodeError(sent: SentError): Error {
  const { type, message, kind = 'internal', errno = 0, syscall = '', path, reason = '' } = sent;
  const options = sent.cause === undefined ? {} : { cause: decodeError(sent.cause) };
  switch (type) {
    case 'guest':
      return new GuestError(kind, message, options);
    case 'syscall':
      return new SyscallError(syscall, errno, path);
    case 'unsafe-path':
      return new UnsafePathError(path ?? '', reason, options);
    case 'too-large':
      return new TooLargeToMirror(message);
    case 'system': {
      const { code } = sent;
      return Object.assign(new Error(message), {
        code,
        errno,
        syscall,
        ...(path === undefined ? {} : { path }),
      });
    }
    case 'other':
      return new Error(message, options);
  }
}
