import type { CreateSandbox } from '../actions.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { checkKernelModules } from '../kernel-modules.js';
import { cleanStorages } from '../storage/clean-storages.js';

export async function createSandbox(guest: Guest, requested: CreateSandbox): Promise<void> {
  const action = { ...requested, storages: cleanStorages(requested.storages) };
  const { containers, context, sandbox } = guest;
  return guest.changeWith({
    scope: 'whole',
    admit: () => {
      if (containers.size > 0) {
        throw new GuestError('precondition', 'there are containers already; the sandbox comes before them');
      }
      sandbox.admit(action);
      checkKernelModules(action.kernelModules ?? [], context.access);
    },
    needs: () => context.storages.needs(action.storages),
    task: () => sandbox.create(action),
  });
}
