/** The listener that `server_addr` describes, as decisions and records name it. */
export const defaultListener = 'default';
