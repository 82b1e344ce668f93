/** Names and addresses that hosts files may have beside those of localhost and of the pod, as the configuration lists them. */
export type HostAliases = Readonly<Record<string, readonly string[]>>;
