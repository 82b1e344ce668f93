import { configurationDifferences } from './configuration.js';
import { containerDifferences } from './container.js';
import { creationDifferences } from './creation.js';
import type { Difference } from './difference.js';
import { processDifferences } from './processes.js';
import { sandboxDifferences } from './sandbox.js';
import { storageDifferences } from './storage.js';

export type { Difference, Part } from './difference.js';

/** Every deliberate difference from the agent of Kata Containers, by id. A difference that is not here is a defect. */
export const differences: ReadonlyMap<string, Difference> = new Map(
  [
    configurationDifferences,
    creationDifferences,
    containerDifferences,
    storageDifferences,
    processDifferences,
    sandboxDifferences,
  ].flatMap((rows) => Object.entries(rows)),
);
