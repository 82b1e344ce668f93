/** How calls of operators come through the server of an `https://` address. */
export type Relay = 'operator-tls' | 'trusted';

/** The stronger one: the weaker one must be written. */
export const defaultRelay: Relay = 'operator-tls';
