import { type Configuration, settings } from '@kata-agent/config';
import { deliveryDifferences } from './delivery-differences.js';
import type { Difference } from './difference.js';
import { imageDifferences } from './image-differences.js';
import { overridingDifferences } from './overriding-differences.js';
import { directionOf } from './setting-directions.js';
import { sameValue, settingTexts, valueOf } from './setting-value.js';

/** Returns the settings with different values, and the effects. */
export function settingDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const found = settings.flatMap((row): readonly Difference[] => {
    const direction = directionOf(row);
    const was = valueOf(before, row);
    const is = valueOf(after, row);
    if (direction === undefined || sameValue(was, is)) return [];
    return [{ about: 'setting', ...settingTexts(row, was, is), ...direction(was, is) }];
  });
  return [
    ...found,
    ...imageDifferences(before, after),
    ...overridingDifferences(before, after),
    ...deliveryDifferences(before, after),
  ];
}
