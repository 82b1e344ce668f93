import { type Configuration, initdataKey } from '@kata-agent/config';
import { CannotApply } from '../cannot-apply.js';
import { BootList } from './boot-list.js';

/**
 * Stores which documents the host delivered to this boot, and refuses a configuration without one of them: an agent that
 * was killed is started again beside its containers, and the host may have detached the device, or replaced its content
 * if nothing binds it. A document can only restrict, so others may be added. A policy of initdata is not among them: it is
 * kept as a whole (`SavedPolicies`).
 *
 * @param file in the state directory
 * @throws CannotApply if a document is missing, or the file cannot be read or written.
 */
export function persistDeliveredDocuments(
  { documents, initdata }: Pick<Configuration, 'documents' | 'initdata'>,
  file: string,
  bootId: string,
): void {
  const usesEnvelope = initdata?.files.some(
    ({ name, outcome }) => name === initdataKey && outcome === 'applied',
  );
  const delivered = documents.filter(
    ({ binding, source }) =>
      binding !== undefined && binding !== 'own root' && (source !== 'initdata' || usesEnvelope === true),
  );
  const now = delivered.map(({ sha256 }) => sha256);
  const list = new BootList(file, bootId, 'documents');
  const before = usable(file, () => list.read());
  const missing = before.filter((digest) => !now.includes(digest));
  if (missing.length > 0)
    throw new CannotApply(
      `this boot began with a delivered document that is missing now: sha256:${missing.join(', sha256:')}`,
      { help: 'deliver it again, or start the guest again' },
    );
  if (now.every((digest) => before.includes(digest))) return;
  usable(file, () => list.write(now));
}

function usable<T>(file: string, task: () => T): T {
  try {
    return task();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CannotApply(`${file}: the documents of this boot are not known: ${reason}`, {
      cause,
      help: 'start the guest again',
    });
  }
}
