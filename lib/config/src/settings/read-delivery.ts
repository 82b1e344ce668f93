import type { DeliverySettings } from '../delivery.js';
import type { GivenSection } from './read-section.js';
import { deliverySettings } from './delivery-settings.js';
import type { SettingRow } from './setting.js';

/** Reads `[delivery]`, completed with defaults. Only the base document can have it, so nothing is merged. */
export function readDelivery(given: GivenSection): DeliverySettings {
  const valueOf = <P extends keyof DeliverySettings>(property: P): DeliverySettings[P] => {
    const row: SettingRow = deliverySettings[property];
    // Parsed by the row's own type.
    return (given.get(row.key)?.value ?? row.default) as DeliverySettings[P];
  };
  return {
    accept: valueOf('accept'),
    bind: valueOf('bind'),
    required: valueOf('required'),
    dropInDir: valueOf('dropInDir'),
    unusedInitdata: valueOf('unusedInitdata'),
    maySet: valueOf('maySet'),
  };
}
