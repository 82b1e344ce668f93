import { deliverySources, type Inputs } from '@kata-agent/config';
import { readHostData } from '@kata-agent/measurement';

/** The ways by which further documents come into this guest, and what binds them. */
export function delivery(options: {
  readonly kernelLine: string;
  readonly relaxedPermissions: boolean;
}): Pick<Inputs, 'delivery' | 'hostData'> {
  return { delivery: deliverySources(options), hostData: () => readHostData() };
}
