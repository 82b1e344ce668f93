/** What the guest refuses by a request alone, without doing anything: for tests that change requests in every way. */
export { checkContainerId, checkExecId, checkHostname } from './container/identifiers.js';
export { buildSpec, runnableProcess } from './spec/build-spec.js';
export { bindLocalVolumes } from './spec/local-volumes.js';
export { isBind } from './spec/mounts.js';
export { OwnPlaces } from './source/other-containers.js';
export { sourcePlace } from './source/source-place.js';
export { unknownMountOption } from './storage/known-options.js';
export { mountPlace } from './storage/mount-place.js';
export { storageDriver } from './storage/storage-drivers.js';
export { groupOption } from './storage/storage-options.js';
