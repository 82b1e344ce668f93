import { releases } from '@kata-agent/catalogue';

/** The newest known release of Kata, in the form of a configuration: `4.1`. */
export const newestPin: string = (releases.at(-1) ?? '').replace(/\.0$/, '');
