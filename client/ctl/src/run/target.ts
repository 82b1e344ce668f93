/** A process of a container, in the shape of requests that name one. Empty `execId`: the first process. */
export interface Target {
  readonly containerId: string;
  readonly execId: string;
}
