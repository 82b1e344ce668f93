import { releases } from '@kata-agent/catalogue';

/** The newest release of Kata that is known, as a configuration names it: `4.1`. */
export const newestPin: string = (releases.at(-1) ?? '').replace(/\.0$/, '');
