import { quote } from '../diagnostics/display-text.js';
import type { Report } from '../diagnostics/report.js';
import type { TomlTable } from '../toml/toml-value.js';
import { dialAddress } from '../value-types/dial-address.js';
import { isPemText } from '../value-types/pem-source.js';
import { type MaySet, settableIn } from './may-set.js';
import { type TlsKeys, tlsPemKeys } from './tls-keys.js';
import type { Located } from './located.js';

/** The keys of a listener in a further document that only `may_set` allows there. */
interface Delivered {
  readonly address: Located<string> | undefined;
  readonly tls: Located<TlsKeys> | undefined;
}

/**
 * Reports what a further document must not set of a listener although `may_set` names some of its keys: other keys of `tls`,
 * files of the guest, addresses that are not dialled, and everything if the document is not bound.
 */
export function checkDelivered(
  table: TomlTable,
  { address, tls }: Delivered,
  maySet: MaySet,
  report: Report,
): void {
  const settable = settableIn(maySet, table);
  const weakly = (key: string, { span }: Located<unknown>): void => {
    if (maySet.weaklyBound === undefined) return;
    report.error(
      'KA1716',
      span,
      `${key} of [[listener]] is set by a document that is bound by ${maySet.weaklyBound}`,
      'deliver it in a document that is bound by host_data or a pin',
    );
  };
  if (address !== undefined) {
    weakly('address', address);
    if (dialAddress(address.value) === undefined)
      report.error(
        'KA1716',
        address.span,
        `a delivered document sets no address like ${quote(address.value)}`,
        'it can set only an https:// address, which the agent dials',
      );
  }
  if (tls === undefined) return;
  weakly('tls', tls);
  const entries = table.entries.get('tls')?.value;
  if (entries?.kind !== 'table') return;
  for (const [key, { span }] of entries.entries) {
    if ([...settable].some((each) => each === `tls.${key}`)) continue;
    report.error(
      'KA1709',
      span,
      `tls.${key} of [[listener]] is allowed only in the base document`,
      'remove it from this document, or name it in may_set of the base document',
    );
  }
  for (const [kind, key] of Object.entries(tlsPemKeys)) {
    const value = tls.value[kind as keyof typeof tlsPemKeys];
    if (value === undefined || isPemText(value)) continue;
    // The digest of a delivered document covers its values.
    report.error(
      'KA1716',
      tls.span,
      `tls.${key} of a delivered document is the path ${quote(value)}`,
      'write the PEM text itself',
    );
  }
}
