import { createHash } from 'node:crypto';
import type { DeliveredDocument, DeliveryName, HostData } from '../configuration.js';
import { hostDataDigest } from '../delivery/host-data-digest.js';
import type { Diagnostic } from '../diagnostic.js';
import { failure } from './stacked-document.js';

/** What binds a document, or why nothing does. */
export type Binding =
  | { readonly ok: true; readonly binding: string; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostic: Diagnostic };

/**
 * Binds a delivered document as the base document asks for (S25). Nothing of it has been read yet: a document that is
 * not bound is not even parsed. Drop-ins need no binding, since they lie where the base document lies
 * (docs/adr/0004-further-documents.md).
 */
export function bindDocument(
  delivered: DeliveredDocument,
  way: DeliveryName,
  bind: string,
  hostData: () => HostData,
): Binding {
  if (way === 'drop_ins') return { ok: true, binding: 'own root', warnings: [] };
  if (bind === 'none') return unbound(delivered);
  if (bind === 'host_data') return byHostData(delivered, hostData());
  return byPin(delivered, bind);
}

/** SHA-256 of an envelope as it was delivered, in lower-case hex. */
export function envelopeDigest({ envelope }: Pick<DeliveredDocument, 'envelope'>): string {
  return createHash('sha256').update(envelope).digest('hex');
}

/** A digest that the base document or a measured kernel line pins: `sha256:` and 64 hex digits. */
export function byPin(delivered: DeliveredDocument, pin: string): Binding {
  const digest = `sha256:${envelopeDigest(delivered)}`;
  if (pin === digest) return { ok: true, binding: 'pin', warnings: [] };
  const message = `${delivered.file} is not the document that was pinned: it has ${digest}, not ${pin}`;
  return {
    ok: false,
    diagnostic: failure(
      message,
      'deliver the pinned document, or pin this one: kata-agent-ctl config digest FILE',
    ),
  };
}

function byHostData(delivered: DeliveredDocument, hostData: HostData): Binding {
  if (!hostData.ok) {
    const message = `${delivered.file} cannot be bound by host_data: ${hostData.message}`;
    return { ok: false, diagnostic: failure(message, hostData.help) };
  }
  const { kind, bytes } = hostData;
  const expected = hostDataDigest(delivered, kind);
  if (Buffer.compare(expected, bytes) === 0) return { ok: true, binding: kind, warnings: [] };
  const message = `${delivered.file} is not the document that ${kind} vouches for: it needs ${hex(expected)}, and the report has ${hex(bytes)}`;
  return {
    ok: false,
    diagnostic: failure(
      message,
      `start the guest with this ${kind}, or deliver the document it was started for: kata-agent-ctl config digest FILE`,
    ),
  };
}

function unbound({ file }: DeliveredDocument): Binding {
  const warning: Diagnostic = {
    severity: 'warning',
    message: `${file} is BOUND BY NOTHING: the host chose what it says, and may choose otherwise tomorrow`,
    help: 'bind = "host_data", or pin it: bind = "sha256:…"',
  };
  return { ok: true, binding: 'none', warnings: [warning] };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
