import { jsonCodec, type PayloadCodec } from '../codec/index.js';
import type { StandardSchema } from './standard-schema.js';

/** How one contract says that the reply to its command is written. */
export interface ReplyFormat {
  readonly codec: PayloadCodec;
  readonly schema: StandardSchema | undefined;
}

/** The symbol is registered, because a process may have two copies of this package. */
const KNOWN = Symbol.for('sagaz.reply-formats');
const PLAIN_JSON: ReplyFormat = { codec: jsonCodec, schema: undefined };

function isPlainJson({ codec, schema }: ReplyFormat): boolean {
  return codec === jsonCodec && schema === undefined;
}

type Formats = Map<string, ReplyFormat[]>;

function isFormats(value: unknown): value is Formats {
  return value instanceof Map;
}

function known(): Formats {
  const there: unknown = Reflect.get(globalThis, KNOWN);
  if (isFormats(there)) return there;
  const formats: Formats = new Map();
  Reflect.set(globalThis, KNOWN, formats);
  return formats;
}

/**
 * Keeps the codec and schema of a reply by the type of its command. A reply names its command and comes
 * to the process that runs the saga by then, so they must be found by the type alone. A process that runs
 * a saga has loaded its class, and with it the contracts of the commands that the saga sends.
 */
export function rememberReplyFormat(type: string, format: ReplyFormat): void {
  const formats = known();
  const ofType = formats.get(type) ?? [];
  const same = ofType.some(
    ({ codec, schema }) => codec === format.codec && schema === format.schema,
  );
  if (!same) formats.set(type, [...ofType, format]);
}

/**
 * The formats of a reply. There are several if the process has several contracts of the type: an old and
 * a new one, or those of the sender and of the participant. JSON without a schema does not count beside
 * JSON with one, whose check it would make useless.
 */
export function replyFormatsOf(type: string | undefined): readonly ReplyFormat[] {
  const formats = type === undefined ? undefined : known().get(type);
  if (formats === undefined) return [PLAIN_JSON];
  const checked = formats.filter((format) => !isPlainJson(format));
  return checked.some(({ codec }) => codec === jsonCodec) ? checked : formats;
}
