import type { ImageSettings } from '../configuration.js';
import { oneOf } from '../value-types/one-of.js';
import type { Setting } from './setting.js';

/** The rows of `[image]` (R18). */
export const imageSettings: { readonly [P in keyof ImageSettings]: Setting<ImageSettings[P]> } = {
  puller: {
    section: 'image',
    key: 'puller',
    type: oneOf(['none', 'cdh']),
    default: 'none',
    purpose:
      'Who pulls the images of containers inside the guest: nobody, or the confidential data hub (cdh), by its own policy.',
    example: '"cdh"',
    merge: 'base only',
    opensGuest: false,
    override: undefined,
    built: 'yes',
  },
};
