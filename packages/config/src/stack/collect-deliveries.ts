import type {
  DeliveredDocument,
  DeliveryName,
  DeliverySettings,
  HostData,
  Inputs,
} from '../configuration.js';
import type { Diagnostic } from '../diagnostic.js';
import { bindDocument, byPin } from './bind-document.js';
import { cannotApply, failure, type Refused, wayOf } from './stacked-document.js';

/** A document that came, and what vouches for it. It has not been read yet. */
export interface BoundDocument {
  readonly delivered: DeliveredDocument;
  readonly way: DeliveryName;
  /** As in `DocumentRecord.binding`. */
  readonly binding: string;
}

export type Collected =
  | {
      readonly ok: true;
      readonly documents: readonly BoundDocument[];
      readonly warnings: readonly Diagnostic[];
    }
  | Refused;

/**
 * Asks each way that the base document accepts, in its order. One that is missing here, a document that cannot be taken
 * over or is not bound as asked, and none at all while one is required are fatal.
 */
export function collectDeliveries(
  settings: DeliverySettings,
  inputs: Pick<Inputs, 'delivery' | 'hostData'>,
  kernelPin: string | undefined,
): Collected {
  if (settings.accept.length === 0) return { ok: true, documents: [], warnings: [] };
  const faults: Diagnostic[] = [];
  const warnings: Diagnostic[] = [];
  const documents: BoundDocument[] = [];
  const hostData = once(inputs.hostData);
  for (const way of settings.accept) {
    for (const delivered of collect(way, settings, inputs, faults)) {
      const bound = bindDocument(delivered, way, settings.bind, hostData);
      const pinned = way === 'kernel_line' && kernelPin !== undefined ? byPin(delivered, kernelPin) : bound;
      if (!bound.ok) faults.push(bound.diagnostic);
      else if (!pinned.ok) faults.push(pinned.diagnostic);
      else {
        warnings.push(...bound.warnings);
        documents.push({ delivered, way, binding: bound.binding });
      }
    }
  }
  if (faults.length > 0) return cannotApply(faults);
  const missing = settings.required ? missingDelivery(settings.accept, documents) : undefined;
  return missing === undefined ? { ok: true, documents, warnings } : cannotApply([missing]);
}

function collect(
  way: DeliveryName,
  settings: DeliverySettings,
  inputs: Pick<Inputs, 'delivery'>,
  faults: Diagnostic[],
): readonly DeliveredDocument[] {
  const source = inputs.delivery.find(({ name }) => name === way);
  if (source === undefined) {
    faults.push(failure(`this agent takes no documents by ${way}`, `remove "${way}" from accept`));
    return [];
  }
  const read = source.collect(settings);
  if (read.ok) return read.documents;
  faults.push(...read.diagnostics);
  return [];
}

/**
 * What is missing while a document is required. Drop-ins lie in the guest and are there whatever the host does: where
 * the host can deliver too, they do not stand for what it left out (docs/adr/0004-further-documents.md).
 */
function missingDelivery(
  accept: readonly DeliveryName[],
  documents: readonly BoundDocument[],
): Diagnostic | undefined {
  const fromHost = accept.filter((way) => way !== 'drop_ins');
  const awaited = fromHost.length > 0 ? fromHost : accept;
  if (documents.some(({ way }) => awaited.includes(way))) return undefined;
  const ways = awaited.map((way) => wayOf[way]).join(' or ');
  return failure(
    `a further document is required, and none came by ${ways}`,
    'deliver it, or write required = false in [delivery]',
  );
}

function once(ask: () => HostData): () => HostData {
  let answer: HostData | undefined;
  return () => (answer ??= ask());
}
