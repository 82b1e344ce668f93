import { existedIn, type MethodName } from '@kata-agent/catalogue';
import type { ApiDocument, EndpointLists } from './configuration.js';

/**
 * Whether the documents serve a method on a listener, by docs/configuration.md, "What is served". The gate decides the
 * same with reasons; loading needs to know whether anything is closed at all.
 */
export function isServed(documents: readonly ApiDocument[], listener: string, method: MethodName): boolean {
  return documents.every((document, index) => {
    if (document.release !== undefined && !existedIn(method, document.release)) return false;
    const lists = [document, document.listeners.get(listener)].filter((pair) => hasList(pair));
    if (index === 0 && lists.length === 0) return false;
    return lists.every(
      ({ allowed, blocked }) => allowed?.has(method) !== false && blocked?.has(method) !== true,
    );
  });
}

function hasList(lists: EndpointLists | undefined): lists is EndpointLists {
  return lists?.allowed !== undefined || lists?.blocked !== undefined;
}
