import type { DeliverySettings } from '../configuration.js';
import type { GivenSection } from '../read-section.js';
import { deliverySettings } from '../settings/delivery-settings.js';
import type { SettingRow } from '../settings/setting.js';

/** What a base document says of deliveries; what it leaves out has its default. Only it can say so, so nothing is merged. */
export function readDelivery(given: GivenSection): DeliverySettings {
  const valueOf = <P extends keyof DeliverySettings>(property: P): DeliverySettings[P] => {
    const row: SettingRow = deliverySettings[property];
    // The row's own type has read it.
    return (given.get(row.key)?.value ?? row.default) as DeliverySettings[P];
  };
  return {
    accept: valueOf('accept'),
    bind: valueOf('bind'),
    required: valueOf('required'),
    dropInDir: valueOf('dropInDir'),
  };
}
