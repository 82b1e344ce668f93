export { Backoff, backoffMs, type BackoffOptions, type BackoffWindows } from './backoff.js';
export { onDoublings, onDoublingsOfEach } from './doublings.js';
export { inParallel } from './in-parallel.js';
export { isRecord, type JsonRecord } from './is-record.js';
export { FormError, type JsonFail, type JsonFault, JsonFields } from './json-fields.js';
export {
  isJsonArray,
  isJsonObject,
  type Json,
  type JsonObject,
  JsonSyntaxError,
  parseJson,
} from './parse-json.js';
export { Phases } from './phases.js';
export { readIfThere } from './read-if-there.js';
export { replaceFile, replaceFileAsync, type ReplaceOptions } from './replace-file.js';
export { Semaphore, type SemaphoreOptions } from './semaphore.js';
export { type Rate, TokenBucket } from './token-bucket.js';
export { visibleText } from './visible-text.js';
