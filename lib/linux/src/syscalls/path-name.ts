/** A path: text, passed to the kernel as UTF-8, or bytes for names that are not UTF-8. Never contains a NUL. */
export type PathName = string | Uint8Array;
