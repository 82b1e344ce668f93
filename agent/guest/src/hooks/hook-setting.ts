/**
 * Which OCI hooks run: none, those of the guest's CDI specifications, or also those that the host chooses, in requests and
 * by `guest_hook_path`.
 */
export type HookSetting = 'refuse' | 'cdi' | 'allow';
