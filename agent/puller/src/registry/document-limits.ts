/**
 * Of a manifest, an index or a configuration, in bytes. The agent parses them between other calls: half a MiB is 50 ms at worst, and
 * more than ten times what images have.
 */
export const maxDocumentBytes: number = 512 * 1024;

/** Of all documents of an image, with its signatures, in bytes. */
export const maxDocumentsBytes: number = 4 * 1024 * 1024;
