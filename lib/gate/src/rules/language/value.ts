import type { Message } from '@bufbuild/protobuf';
import type { ImageProcess } from '../../entrypoint/image-process.js';

/** A value of the language. `int` and `uint` are both bigints, distinguished by their type. */
export type Value =
  | boolean
  | bigint
  | string
  | Uint8Array
  | readonly Value[]
  | ReadonlyMap<Value, Value>
  | Message
  | ImageProcess
  | FieldValues;

/** A record: `container`, `peer`. */
export interface FieldValues {
  readonly [field: string]: Value | undefined;
}
