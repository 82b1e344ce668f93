import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { Code, TtrpcError } from '../status.js';
import type { Limits } from '../limits.js';
import { MalformedMessage, WireCursor, WireType } from './wire-cursor.js';

/** A message type, as the scan sees it: the fields by number, the low numbers in an array. */
interface MessagePlan {
  readonly typeName: string;
  readonly low: (FieldPlan | undefined)[];
  readonly high: Map<number, FieldPlan>;
  /** Levels added to the depth. 0 for map entries, which are messages only on the wire. */
  readonly levels: 0 | 1;
}

interface FieldPlan {
  readonly wireType: number;
  /** How packed elements are encoded: a varint each, or this many bytes each; 0 when the field cannot be packed. */
  readonly packed: 'varint' | 4 | 8 | 0;
  readonly child: MessagePlan | undefined;
}

const lowFields = 256;
const plans = new WeakMap<DescMessage, MessagePlan>();

class TooMuch extends Error {}

/** What happens to a field that the descriptor does not have: it is skipped, or the message is rejected. */
export type UnknownFields = 'skip' | 'refuse';

/**
 * Scans an encoded message before it is decoded, without allocating objects, and rejects messages that would be too
 * expensive to decode. Throws RESOURCE_EXHAUSTED when it has more fields and elements than `requestFields` or is nested
 * deeper than `requestDepth`, and INVALID_ARGUMENT when it is malformed. Repeated elements, packed ones and unknown
 * fields count too.
 *
 * With `unknown` = `refuse`, INVALID_ARGUMENT also for a field that is not in the descriptor of its message, at any depth,
 * in entries of maps too.
 *
 * The scan is stricter than protobuf: a known field with another wire type than declared is malformed, because a
 * decoder that trusts the descriptor would read other bytes than the scan counted.
 */
export function scan(
  descriptor: DescMessage,
  payload: Uint8Array,
  limits: Pick<Limits, 'requestFields' | 'requestDepth'>,
  unknown: UnknownFields = 'skip',
): void {
  if (payload.length === 0) return;
  try {
    new Scanner(payload, limits, unknown).message(planOf(descriptor), 1);
  } catch (error) {
    if (error instanceof TooMuch)
      throw new TtrpcError(Code.ResourceExhausted, `${descriptor.typeName}: ${error.message}`);
    if (error instanceof MalformedMessage)
      throw new TtrpcError(Code.InvalidArgument, `${descriptor.typeName} is malformed: ${error.message}`);
    throw error;
  }
}

class Scanner {
  readonly #cursor: WireCursor;
  readonly #maxFields: number;
  readonly #maxDepth: number;
  readonly #unknownFields: UnknownFields;
  #fields = 0;

  constructor(
    bytes: Uint8Array,
    limits: Pick<Limits, 'requestFields' | 'requestDepth'>,
    unknown: UnknownFields,
  ) {
    this.#unknownFields = unknown;
    this.#cursor = new WireCursor(bytes, 0, bytes.length);
    this.#maxFields = limits.requestFields;
    this.#maxDepth = limits.requestDepth;
  }

  /** Scans to the cursor's end, or past the end tag when the message is a group. */
  message(plan: MessagePlan, depth: number, group = 0): void {
    if (depth > this.#maxDepth)
      throw new TooMuch(`messages are nested deeper than ${this.#maxDepth} (limit requestDepth)`);
    const cursor = this.#cursor;
    while (cursor.at < cursor.end) {
      const tag = cursor.tag();
      const number = tag >>> 3;
      const wireType = tag & 7;
      if (wireType === WireType.EndGroup) {
        if (number === group) return;
        throw new MalformedMessage(`end of group ${number} before byte ${cursor.at}`);
      }
      this.#count(1);
      const field = number < lowFields ? plan.low[number] : plan.high.get(number);
      if (field === undefined) this.#unknown(plan, number, wireType, depth);
      else if (wireType === field.wireType) this.#known(field, number, wireType, depth);
      else if (wireType === WireType.Length && field.packed !== 0) this.#packed(field.packed);
      else throw new MalformedMessage(`field ${number} has wire type ${wireType} before byte ${cursor.at}`);
    }
    if (group !== 0) throw new MalformedMessage(`group ${group} does not end`);
  }

  #known(field: FieldPlan, number: number, wireType: number, depth: number): void {
    const { child } = field;
    const cursor = this.#cursor;
    if (child === undefined) cursor.skip(wireType);
    else if (wireType === WireType.StartGroup) this.message(child, depth + 1, number);
    else {
      const outer = cursor.end;
      cursor.end = cursor.length() + cursor.at;
      this.message(child, depth + child.levels);
      cursor.end = outer;
    }
  }

  #unknown({ typeName }: MessagePlan, number: number, wireType: number, depth: number): void {
    if (this.#unknownFields === 'refuse')
      throw new TtrpcError(Code.InvalidArgument, `field ${number} of ${typeName} is not known here`);
    if (wireType === WireType.StartGroup) this.message(nothingKnown, depth + 1, number);
    else this.#cursor.skip(wireType);
  }

  #packed(element: 'varint' | 4 | 8): void {
    const cursor = this.#cursor;
    const end = cursor.length() + cursor.at;
    if (element !== 'varint') {
      const bytes = end - cursor.at;
      if (bytes % element !== 0) throw new MalformedMessage(`${bytes} packed bytes of ${element} each`);
      this.#count(bytes / element);
      cursor.at = end;
      return;
    }
    const outer = cursor.end;
    cursor.end = end;
    while (cursor.at < end) {
      this.#count(1);
      cursor.skipVarint();
    }
    cursor.end = outer;
  }

  #count(fields: number): void {
    this.#fields += fields;
    if (this.#fields > this.#maxFields)
      throw new TooMuch(`more than ${this.#maxFields} fields and elements (limit requestFields)`);
  }
}

const nothingKnown: MessagePlan = { typeName: 'a group', low: [], high: new Map(), levels: 1 };

function planOf(descriptor: DescMessage): MessagePlan {
  const known = plans.get(descriptor);
  if (known !== undefined) return known;
  const plan: MessagePlan = { typeName: descriptor.typeName, low: [], high: new Map(), levels: 1 };
  plans.set(descriptor, plan); // before its fields, which may be of the same type
  for (const field of descriptor.fields) place(plan, field.number, fieldPlan(field));
  return plan;
}

function place(plan: MessagePlan, number: number, field: FieldPlan): void {
  if (number < lowFields) plan.low[number] = field;
  else plan.high.set(number, field);
}

function fieldPlan(field: DescField): FieldPlan {
  switch (field.fieldKind) {
    case 'scalar':
      return scalarPlan(field.scalar, false);
    case 'enum':
      return scalarPlan(ScalarType.INT32, false);
    case 'message':
      return messageField(field.message, field.delimitedEncoding);
    case 'list':
      if (field.listKind === 'message') return messageField(field.message, field.delimitedEncoding);
      return scalarPlan(field.listKind === 'enum' ? ScalarType.INT32 : field.scalar, true);
    case 'map':
      return { wireType: WireType.Length, packed: 0, child: entryPlan(field) };
  }
}

function messageField(message: DescMessage, group: boolean): FieldPlan {
  return { wireType: group ? WireType.StartGroup : WireType.Length, packed: 0, child: planOf(message) };
}

function entryPlan(field: DescField & { fieldKind: 'map' }): MessagePlan {
  const typeName = `an entry of ${field.parent.typeName}.${field.name}`;
  const plan: MessagePlan = { typeName, low: [], high: new Map(), levels: 0 };
  place(plan, 1, scalarPlan(field.mapKey, false));
  if (field.mapKind === 'message') place(plan, 2, messageField(field.message, false));
  else place(plan, 2, scalarPlan(field.mapKind === 'enum' ? ScalarType.INT32 : field.scalar, false));
  return plan;
}

function scalarPlan(type: ScalarType, repeated: boolean): FieldPlan {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return { wireType: WireType.Length, packed: 0, child: undefined };
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return { wireType: WireType.Bit64, packed: repeated ? 8 : 0, child: undefined };
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return { wireType: WireType.Bit32, packed: repeated ? 4 : 0, child: undefined };
    default:
      return { wireType: WireType.Varint, packed: repeated ? 'varint' : 0, child: undefined };
  }
}
