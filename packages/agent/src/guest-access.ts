import type { AgentSettings } from '@kata-agent/config';
import type { AllowedDevice, AllowedModule, AllowedPath, GuestAccess } from '@kata-agent/guest';

/** What containers may have of the guest, by the settings; `hasDocument`: there is a configuration. */
export function guestAccess(settings: AgentSettings, hasDocument: boolean): GuestAccess {
  const { privilegedContainers, devices, guestPaths, kernelModules, sysctls } = settings;
  return {
    privileged: privilegedContainers ?? (hasDocument ? 'refuse' : 'allow'),
    devices: devices.map(allowedDevice),
    paths: guestPaths.map(allowedPath),
    modules: kernelModules.map(allowedModule),
    sysctls,
  };
}

function allowedDevice(text: string): AllowedDevice {
  const numbers = /^c (\d+):(\d+)$/.exec(text);
  return numbers === null
    ? { kind: 'path', path: text }
    : { kind: 'number', major: Number(numbers[1]), minor: Number(numbers[2]) };
}

function allowedPath(text: string): AllowedPath {
  const writable = text.startsWith('rw:');
  return { path: writable ? text.slice('rw:'.length) : text, writable };
}

function allowedModule(text: string): AllowedModule {
  const [name = '', ...parameters] = text.split(' ');
  return { name, parameters };
}
