export type { Banks } from './algorithm.js';
export { type HostDataReading, readHostData } from './host-data.js';
export { measure, type Measurement, type MeasurementPlace, type RegisterReport } from './measure.js';
export { MeasurementError } from './measurement-error.js';
export type { Register } from './register.js';
export { RegisterLog } from './register-log.js';
export { rtmrRegister } from './rtmr-register.js';
export { tpmRegister } from './tpm-register.js';
export { tpmTransport } from './tpm-transport.js';
