import { methodNames } from '@kata-agent/catalogue';
import type { ParsedDocument } from '../parse/parsed-document.js';
import { isServed } from '../api/served.js';

/**
 * Reports whether the documents restrict the API: some method is not served on some listener, or there is a rule or a
 * listener.
 */
export function isRestricted(documents: readonly ParsedDocument[], listeners: readonly string[]): boolean {
  if (documents.length === 0) return false;
  if (documents.some((document) => document.api.rules.length > 0 || document.listeners.length > 0))
    return true;
  const apis = documents.map(({ api }) => api);
  return listeners.some((listener) => methodNames.some((method) => !isServed(apis, listener, method)));
}
