/** A process of a container. `execId` empty: its first one. Shaped as the requests that name one. */
export interface Target {
  readonly containerId: string;
  readonly execId: string;
}
