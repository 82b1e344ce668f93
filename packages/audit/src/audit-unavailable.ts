/** The log cannot be written, or not be continued. `cause` is the system's error, where there is one. */
export class AuditUnavailable extends Error {
  override readonly name = 'AuditUnavailable';
}
