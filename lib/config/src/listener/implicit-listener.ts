/** The name of the only listener of a configuration without `[[listener]]`; its address is `server_addr`. */
export const implicitListener: string = 'server_addr';
