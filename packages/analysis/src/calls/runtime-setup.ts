/** How the cluster runs the pod, as far as it decides what the agent is asked for. */
export interface RuntimeSetup {
  /** Kata's runtime in Go, or runtime-rs. */
  readonly runtime: 'go' | 'rs';
  /**
   * `shared-fs`: the host shares files over virtio-fs. `confidential`: it shares none; images are pulled in the guest,
   * files are copied into it, and empty directories are encrypted block devices.
   *
   * Source: the default and the `-coco` configurations of Kata Containers 4.1.0.
   */
  readonly guest: 'shared-fs' | 'confidential';
}
