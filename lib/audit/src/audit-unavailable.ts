/** The log cannot be written or continued. `cause` is the system's error, if there is one. */
export class AuditUnavailable extends Error {
  override readonly name = 'AuditUnavailable';
}
