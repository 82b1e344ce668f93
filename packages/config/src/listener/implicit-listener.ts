/** The name of the one listener of a configuration that has no `[[listener]]`: its address is `server_addr`. */
export const implicitListener: string = 'server_addr';
