import type { Configuration } from '@kata-agent/config';
import { privilegedContainers } from '@kata-agent/gate';
import type { AllowedDevice, AllowedModule, AllowedPath, GuestAccess } from '@kata-agent/guest';

/** Returns the access of containers to the guest, from the settings and from whether there is a document. */
export function guestAccess({
  settings,
  documents,
  evidence,
}: Pick<Configuration, 'settings' | 'documents' | 'evidence'>): GuestAccess {
  const { devices, guestPaths, networkNamespaces, kernelModules, sysctls } = settings;
  return {
    privileged: privilegedContainers({ settings, documents }),
    evidencePaths: evidence.sources.length > 0 ? 'refuse' : 'allow',
    devices: devices.map(allowedDevice),
    paths: guestPaths.map(allowedPath),
    networkNamespaces,
    modules: kernelModules.map(allowedModule),
    sysctls,
  };
}

function allowedDevice(text: string): AllowedDevice {
  const numbers = /^c (\d+):(\d+)$/.exec(text);
  if (text.includes('=') && !text.startsWith('/')) return { kind: 'cdi', name: text };
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
