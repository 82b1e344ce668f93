import { existedIn, type MethodName } from '@kata-agent/catalogue';
import type { ApiDocument } from './configuration.js';

/**
 * Whether the documents serve a method, by CONFIGURATION's "What is served". The gate decides the same with reasons;
 * loading needs to know whether anything is closed at all.
 */
export function isServed(documents: readonly ApiDocument[], method: MethodName): boolean {
  return documents.every(({ release, allowed, blocked }, index) => {
    if (release !== undefined && !existedIn(method, release)) return false;
    if (index === 0 && allowed === undefined && blocked === undefined) return false;
    return (allowed?.has(method) ?? true) && !(blocked?.has(method) ?? false);
  });
}
