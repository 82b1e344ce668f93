export { Budget } from './unpack/budget.js';
export { LayerError, type LayerErrorCode } from './unpack/layer-error.js';
export { LayerTree } from './unpack/layer-tree.js';
export { defaultLimits, type UnpackLimits } from './unpack/limits.js';
export { type LayerDescription, type UnpackedLayer, unpackLayer } from './unpack/unpack-layer.js';
export { type ChildRequest, type ChildSettings, runUnpackChild } from './child/run-unpack-child.js';
export type { LayerFile, UnpackProgress, UnpackResult } from './child/protocol.js';
