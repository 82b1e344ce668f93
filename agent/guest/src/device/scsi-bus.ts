import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError } from '../error/guest-error.js';
import { names } from './pci-path.js';
import { quotedWord } from '../quoted.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Makes the kernel scan the bus for a plugged disk. `sys`: `/sys`. */
    readonly scanScsi: (args: {
      readonly target: number;
      readonly lun: number;
      readonly sys: string;
    }) => void;
  }
}

/** Parses `target:lun`, the runtimes' address of a SCSI disk. */
export function parseScsiAddress(text: string): { readonly target: number; readonly lun: number } {
  const match = /^(\d{1,3}):(\d{1,5})$/.exec(text);
  const [target, lun] = [Number(match?.[1] ?? Number.NaN), Number(match?.[2] ?? Number.NaN)];
  if (!(target <= 255 && lun <= 16_383)) {
    throw new GuestError('invalid', `SCSI address ${quotedWord(text)} must be TARGET:LUN, such as 0:1`);
  }
  return { target, lun };
}

/** Makes the kernel scan the bus for a plugged disk: it asks the host what is there. `sys`: `/sys`. */
export function scanScsi(target: number, lun: number, sys: string): void {
  const hosts = join(sys, 'class/scsi_host');
  for (const host of names(hosts)) writeFileSync(join(hosts, host, 'scan'), `0 ${target} ${lun}`);
}
