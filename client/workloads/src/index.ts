export { rootPropagation, terminationAnnotation } from './calls/create-container.js';
export type { ExpectedCall } from './calls/expected-call.js';
export { expectedCalls } from './calls/expected-calls.js';
export type { Feature } from './pod/feature.js';
export { cdiPrefix, gpuAnnotation, gpuCount, gpuNames, gpuNotes } from './calls/gpus.js';
export { hostnames, podNames } from './calls/sample-names.js';
export { digestIn, imageNames, isPinned, repositoryOf } from './pod/image-name.js';
export { allowedBy, type OperatorAccess, parseOperatorAccess } from './pod/operator-access.js';
export { isLocalVolume, localDirectory } from './calls/mounted-volume.js';
export type { MountedVolume } from './calls/mounted-volume.js';
export { sharedMemory, watchedDriver } from './calls/mounts.js';
export { maskedPaths, optionalMaskedPaths, readOnlyPaths } from './calls/create-container.js';
export {
  layerOption,
  mayWriteToDisk,
  partitionOption,
} from './calls/root-layers.js';
export {
  emptyDirModes,
  hasOwnPause,
  namesHostFiles,
  pullsImages,
  type RuntimeSetup,
} from './calls/runtime-setup.js';
export { serviceNames } from './calls/environment.js';
export { celLiteral, wrappedList } from './facts/cel-literal.js';
export { type Entry, type FactName, fuller, originKey } from './facts/fact.js';
export type { OpenField } from './facts/fact.js';
export { sourcePlace } from './facts/cel-literal.js';
export type { ValueForm } from './facts/fact.js';
export type { Container } from './pod/container.js';
export { WorkloadError } from './pod/field.js';
export { type ImageConfig, type ImageConfigs, parseImageConfig } from './pod/container-image.js';
export {
  parseSnapshotterMetadata,
  parseVeritysetup,
  snapshotterLayer,
  snapshotterSalt,
} from './pod/verity-text.js';
export { type PassedOver, passedOverText } from './pod/pod-templates.js';
export type { ObjectFile } from './pod/objects.js';
export { pinImages, type PodImage, readImages, type WorkloadImages } from './pod/pod-images.js';
export { annotatePods, readAnnotations } from './pod/pod-annotation.js';
export { type Manifests, readManifests, readWorkloads } from './pod/read-workloads.js';
export type { Workload } from './pod/workload.js';
