/**
 * The checks that refuse a request from the request alone, without side effects. Exported for tests that mutate requests.
 */
export { checkExecId, checkHostname } from './request/identifiers.js';
export { admitRequest } from './create/admission.js';
export { pulledRootOf } from './image/guest-pull.js';
export { buildSpec, runnableProcess } from './create/build-spec.js';
export { bindLocalVolumes } from './storage/drivers/local.js';
export { isBind } from './spec/mounts.js';
export { OwnPlaces } from './source/other-containers.js';
export { RemovedPlaces } from './source/removed-places.js';
export { sourcePlace } from './source/source-place.js';
export { cleanStorages } from './storage/clean-storages.js';
export { layersDriver, rootLayersOf } from './storage/root-layers.js';
export { bindOptions, unknownMountOption } from './storage/storage-options.js';
export { refuseOtherRequest } from './storage/storage-conflicts.js';
export { refuseUsedDisk } from './storage/storage-conflicts.js';
export { mountPlace } from './storage/mount-place.js';
export { storageDriver } from './storage/drivers/storage-drivers.js';
export { groupOption } from './storage/storage-options.js';
