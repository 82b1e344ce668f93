import { quote } from '../diagnostics/display-text.js';
import type { Report } from '../diagnostics/report.js';
import { type GivenSection, readDelivery } from '../settings/read-section.js';
import { imageSettings } from '../settings/image-settings.js';
import type { TomlTable } from '../toml/toml-value.js';
import { parseSettable, type SettableKey, signaturesName } from '../value-types/may-set.js';
import { dialledAddress, type ListenerPlace, listenerPlace } from './listener-place.js';
import type { ListenerEntry } from './read-listeners.js';

/** Checks `may_set` of a base document against its listeners and images, and against how documents are delivered. */
export function checkMaySet(
  table: TomlTable | undefined,
  { delivery, image }: { readonly delivery: GivenSection; readonly image: GivenSection },
  listeners: readonly ListenerEntry[],
  report: Report,
): void {
  const { maySet: names, accept, bind, required } = readDelivery(delivery);
  const list = delivery.get('may_set');
  if (list === undefined || names.length === 0) return;
  const refuse = (message: string, help: string): void =>
    report.error('KA1715', list.span, `may_set has no effect ${message}`, help);
  if (bind === 'none')
    refuse('with bind = "none": the host would set these keys', 'write bind = "host_data"');
  if (!required)
    refuse(
      'with required = false: the host would decide whether these keys are set',
      'remove required = false',
    );
  if (accept.length > 0 && accept.every((source) => source === 'drop_ins'))
    refuse('on drop-ins, which are part of the image', 'accept another source: accept = ["initdata"]');
  const items = table?.entries.get('may_set')?.value;
  for (const [index, name] of names.entries()) {
    if (report.full) break;
    const span = (items?.kind === 'array' ? items.items[index]?.span : undefined) ?? list.span;
    if (name === signaturesName) {
      if (image.has(imageSettings.signatures.key))
        report.error('KA1715', span, `this document sets ${name} itself`, 'remove one of the two');
      else if (image.get(imageSettings.puller.key)?.value !== 'built-in')
        report.error(
          'KA1715',
          span,
          `${name} has no effect without puller = "built-in"`,
          'write puller = "built-in" into [image]',
        );
      continue;
    }
    const found = parseSettable(name);
    const entry = listeners.find((listener) => listener.name === found?.listener);
    if (found === undefined || entry === undefined) {
      const known = listeners.map((listener) => quote(listener.name)).join(', ');
      const help = known === '' ? 'add the [[listener]] to this document' : `this document has ${known}`;
      report.error('KA1402', span, `there is no listener ${quote(found?.listener ?? name)}`, help);
      continue;
    }
    if (isSet(entry, found.key)) {
      report.error('KA1715', span, `this document sets ${name} itself`, 'remove one of the two');
      continue;
    }
    const address = entry.address?.value ?? dialledAddress;
    const place = listenerPlace(address, entry.relay);
    if (keysAt[place].has(found.key)) continue;
    const where = place === 'trusted' ? 'https:// with relay = "trusted"' : quote(address);
    report.error('KA1715', span, `${name} has no effect at ${where}`, 'remove it from may_set');
  }
}

const callerKeys = ['peers', 'tls.client_ca', 'tls.client_crl'] as const;
const serverKeys = ['address', 'tls.server_ca', 'tls.pins'] as const;

/** The keys that a listener needs or can have, and the base document can leave unset, by how its callers reach it. */
const keysAt: Readonly<Record<ListenerPlace, ReadonlySet<SettableKey>>> = {
  tls: new Set<SettableKey>(callerKeys),
  trusted: new Set<SettableKey>(serverKeys),
  'operator-tls': new Set<SettableKey>([...serverKeys, ...callerKeys]),
  // Without peers these accept the host, which is a value.
  local: new Set<SettableKey>(),
};

function isSet({ address, peers, tls }: ListenerEntry, key: SettableKey): boolean {
  switch (key) {
    case 'address':
      return address !== undefined;
    case 'peers':
      return peers !== undefined;
    case 'tls.client_ca':
      return tls?.value.clientCa !== undefined;
    case 'tls.client_crl':
      return tls?.value.clientCrl !== undefined;
    case 'tls.server_ca':
      return tls?.value.serverCa !== undefined;
    case 'tls.pins':
      return tls?.value.pins !== undefined;
  }
}
