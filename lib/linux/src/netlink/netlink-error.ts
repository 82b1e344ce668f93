import { errnoName, errnoText } from '../syscalls/syscall-error.js';

/** A refusal of the kernel, as the answer to a request says it. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  /** `EINVAL`, as in Node's own system errors. */
  readonly code: string;
  /** The errno, positive. */
  readonly errno: number;

  /**
   * @param text the kernel's own (extended acknowledgement); empty: it says none.
   * @param attribute the type of the attribute that the kernel refuses, if it names one.
   */
  constructor(errno: number, text: string, attribute?: number) {
    const reason = text === '' ? errnoText(errno) : `${text} (${errnoName(errno)})`;
    super(attribute === undefined ? reason : `${reason}, attribute ${attribute}`);
    this.code = errnoName(errno);
    this.errno = errno;
  }
}

/** Bytes of the kernel that are not what its interface says. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';

  constructor(what: string) {
    super(`netlink: ${what}`);
  }
}
