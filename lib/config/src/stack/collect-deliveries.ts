import {
  type DeliveredDocument,
  type DeliveryName,
  type DeliveryRead,
  type DeliverySettings,
  type HostData,
  type InitdataEnvelope,
  initdataKey,
  initdataPolicyKey,
  type LoadedDocument,
} from '../delivery.js';
import type { Inputs } from '../configuration.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import type { AppliedInitdata } from './apply-initdata.js';
import { bindDocument, type BoundDocument, byPin, envelopeDigest } from './bind-document.js';
import { cannotApply, failure, type Refused, wayOf } from './stacked-document.js';

export type Collected =
  | {
      readonly ok: true;
      readonly documents: readonly BoundDocument[];
      /** One for each document or envelope. */
      readonly records: readonly LoadedDocument[];
      readonly initdata?: AppliedInitdata;
      readonly warnings: readonly Diagnostic[];
    }
  | Refused;

/**
 * Reads each source that the base document accepts, in order. A source that is missing here, a document that cannot be
 * read or bound, and a missing required document are fatal.
 */
export async function collectDeliveries(
  settings: DeliverySettings,
  inputs: Pick<Inputs, 'delivery' | 'hostData'>,
  kernelPin: string | undefined,
): Promise<Collected> {
  if (settings.accept.length === 0) return { ok: true, documents: [], records: [], warnings: [] };
  const diagnostics: Diagnostic[] = [];
  const documents: (BoundDocument & { readonly way: DeliveryName })[] = [];
  const records: LoadedDocument[] = [];
  let initdata: AppliedInitdata | undefined;
  const hostData = once(inputs.hostData);
  for (const way of settings.accept) {
    for (const delivered of await collect(way, settings, inputs, diagnostics)) {
      const bound = bindDocument(delivered, way, settings.bind, hostData);
      const pinned = way === 'kernel_line' && kernelPin !== undefined ? byPin(delivered, kernelPin) : bound;
      if (!bound.ok) diagnostics.push(bound.diagnostic);
      else if (!pinned.ok) diagnostics.push(pinned.diagnostic);
      else {
        const { binding, warnings } = bound;
        diagnostics.push(...warnings);
        records.push({ file: delivered.file, source: way, sha256: envelopeDigest(delivered), binding });
        if ('files' in delivered) {
          const unused = settings.unusedInitdata === 'record' ? 'warning' : 'error';
          const { applyInitdata } = await import('./apply-initdata.js');
          initdata = applyInitdata(delivered, { binding, hasBase: true, unused });
          diagnostics.push(...initdata.diagnostics);
          documents.push(...initdata.documents.map((document) => ({ ...document, way })));
        } else documents.push({ ...delivered, way, binding });
      }
    }
  }
  const faults = diagnostics.filter(({ severity }) => severity === 'error');
  if (faults.length > 0) return cannotApply(faults);
  const missing = settings.required ? missingDelivery(settings.accept, documents, initdata) : undefined;
  if (missing !== undefined) return cannotApply([missing]);
  return {
    ok: true,
    documents,
    records,
    ...(initdata === undefined ? {} : { initdata }),
    warnings: diagnostics,
  };
}

async function collect(
  way: DeliveryName,
  settings: DeliverySettings,
  inputs: Pick<Inputs, 'delivery'>,
  diagnostics: Diagnostic[],
): Promise<readonly (DeliveredDocument | InitdataEnvelope)[]> {
  const read = await readSource(way, settings, inputs);
  if (read === undefined) {
    const message = `this agent takes no documents by ${way}`;
    diagnostics.push(failure('KA1702', message, `remove "${way}" from accept`));
    return [];
  }
  if (read.ok) return read.initdata === undefined ? read.documents : [read.initdata];
  diagnostics.push(...read.diagnostics);
  return [];
}

/** Reads a delivery source; undefined if this agent does not have it. */
export async function readSource(
  way: DeliveryName,
  settings: DeliverySettings,
  { delivery }: Pick<Inputs, 'delivery'>,
): Promise<DeliveryRead | undefined> {
  return delivery.find(({ name }) => name === way)?.collect(settings);
}

/**
 * Reports a missing required document. Drop-ins are stored in the guest whatever the host does: where the host can
 * deliver too, they do not replace a document that it withholds (docs/adr/configuration.md, "Further documents").
 */
function missingDelivery(
  accept: readonly DeliveryName[],
  documents: readonly { readonly way: DeliveryName }[],
  initdata: AppliedInitdata | undefined,
): Diagnostic | undefined {
  const fromHost = accept.filter((way) => way !== 'drop_ins');
  const awaited = fromHost.length > 0 ? fromHost : accept;
  if (documents.some(({ way }) => awaited.includes(way))) return undefined;
  const ways = awaited.map((way) => wayOf[way]).join(' or ');
  if (initdata !== undefined) {
    return failure(
      'KA1704',
      `a further document is required, and ${initdata.report.file} has none that can be applied`,
      `add "${initdataKey}" or a "${initdataPolicyKey}" of defaults to it, or write required = false in [delivery]`,
    );
  }
  return failure(
    'KA1704',
    `a further document is required, and none was delivered by ${ways}`,
    'deliver it, or write required = false in [delivery]',
  );
}

function once(ask: () => HostData): () => HostData {
  let answer: HostData | undefined;
  return () => (answer ??= ask());
}
