import { createHash } from 'node:crypto';
import type { DeliveredDocument, DeliveryName, HostData } from '../delivery.js';
import { hostDataDigest } from '../delivery/host-data.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import type { ParsedDocument } from '../parse/parsed-document.js';
import { failure } from './stacked-document.js';

/** A delivered document, or an initdata envelope. */
type Bindable = Pick<DeliveredDocument, 'file' | 'envelope' | 'algorithm'>;

/** How a document is bound, or why it is not. */
export type Binding =
  | { readonly ok: true; readonly binding: string; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostic: Diagnostic };

/**
 * Binds a delivered document as the base document requires (S25). It has not been parsed yet, and an unbound document
 * never is. Drop-ins need no binding, since they are stored next to the base document
 * (docs/adr/configuration.md, "Further documents").
 */
export function bindDocument(
  delivered: Bindable,
  way: DeliveryName,
  bind: string,
  hostData: () => HostData,
): Binding {
  if (way === 'drop_ins') return { ok: true, binding: 'own root', warnings: [] };
  if (bind === 'none') return unbound(delivered);
  if (bind === 'host_data') return byHostData(delivered, hostData());
  return byPin(delivered, bind);
}

/**
 * Reports whether a binding is strong enough for a document to set what `may_set` names: the host could not choose another
 * document. Where nothing is bound, no agent runs.
 */
export function isStronglyBound(binding: string): boolean {
  return ['HOSTDATA', 'MRCONFIGID', 'pin', uncheckedBinding].includes(binding);
}

/** The binding of documents on another machine. */
export const uncheckedBinding: string = 'not checked here';

/** Returns the SHA-256 of an envelope as delivered, in lower-case hex. */
export function envelopeDigest({ envelope }: Pick<DeliveredDocument, 'envelope'>): string {
  return createHash('sha256').update(envelope).digest('hex');
}

/**
 * Compares a document with a digest pinned by the base document or a measured kernel command line: `sha256:` and 64 hex
 * digits.
 */
export function byPin(delivered: Bindable, pin: string): Binding {
  const digest = `sha256:${envelopeDigest(delivered)}`;
  if (pin === digest) return { ok: true, binding: 'pin', warnings: [] };
  const message = `${delivered.file} is not the pinned document: it has ${digest}, not ${pin}`;
  return {
    ok: false,
    diagnostic: failure(
      'KA1705',
      message,
      'deliver the pinned document, or pin this one: kata-agent-ctl config digest FILE',
    ),
  };
}

function byHostData(delivered: Bindable, hostData: HostData): Binding {
  if (!hostData.ok) {
    const message = `${delivered.file} cannot be bound by host_data: ${hostData.message}`;
    return { ok: false, diagnostic: failure('KA1706', message, hostData.help) };
  }
  const { kind, bytes } = hostData;
  const expected = hostDataDigest(delivered, kind);
  if (Buffer.compare(expected, bytes) === 0) return { ok: true, binding: kind, warnings: [] };
  const message = `${delivered.file} is not the document that the report names in ${kind}: it needs ${hex(expected)}, and the report has ${hex(bytes)}`;
  return {
    ok: false,
    diagnostic: failure(
      'KA1705',
      message,
      `start the guest with this ${kind}, or deliver the document it was started for: kata-agent-ctl config digest FILE`,
    ),
  };
}

function unbound({ file }: Bindable): Binding {
  const warning: Diagnostic = {
    severity: 'warning',
    code: 'KA1707',
    message: `${file} is NOT BOUND: the host can change it at every start`,
    help: 'bind = "host_data", or pin it: bind = "sha256:…"',
  };
  return { ok: true, binding: 'none', warnings: [warning] };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** A delivered document after binding. */
export interface BoundDocument {
  readonly file: string;
  readonly bytes: Uint8Array;
  /** As in `LoadedDocument`. */
  readonly binding: string;
  /** Absent: it has not been parsed yet. */
  readonly parsed?: ParsedDocument;
}
