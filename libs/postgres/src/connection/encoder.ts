import type { QueryResultRow } from 'pg';
import { isWire, type Wire, type WireQuery } from './wire.js';

/** How much was encoded. */
interface Mark {
  readonly messages: number;
  readonly parses: number;
}

/**
 * Encodes the messages of queries without writing them, so that a value which pg cannot encode is
 * noticed before the first byte is sent. The queries write to a view of the connection whose stream
 * keeps the bytes and whose Sync does nothing, because they share one.
 */
export class Encoder {
  readonly #wire: Wire;
  readonly #view: Wire;
  readonly #messages: Uint8Array[] = [];
  readonly #parses: string[] = [];

  constructor(wire: Wire) {
    this.#wire = wire;
    const stream = {
      writable: true,
      write: (message: Uint8Array) => this.#messages.push(message),
      cork: () => undefined,
      uncork: () => undefined,
    };
    const parse: Wire['parse'] = (statement) => {
      this.#parses.push(statement.name ?? '');
      Reflect.apply(wire.parse, view, [statement]);
    };
    // The values are converted first: if one cannot be, older versions of pg leave the beginning of this
    // message in front of the next one.
    const bind: Wire['bind'] = ({ values, valueMapper, ...rest }) => {
      const converted = valueMapper === undefined ? values : values?.map((one) => valueMapper(one));
      Reflect.apply(wire.bind, view, [{ ...rest, values: converted }]);
    };
    const view: unknown = Object.create(wire, {
      stream: { value: stream },
      sync: { value: () => undefined },
      parse: { value: parse },
      bind: { value: bind },
    });
    if (!isWire(view)) throw new TypeError('The connection is none of pg.');
    this.#view = view;
  }

  get mark(): Mark {
    return { messages: this.#messages.length, parses: this.#parses.length };
  }

  /** The name of each statement that is to be parsed, in their order; '' where it has none. */
  get parses(): readonly string[] {
    return this.#parses;
  }

  /** Adds the messages of a query. Returns an error that it was refused with before any of them. */
  add<R extends QueryResultRow>(query: WireQuery<R>): Error | null {
    return query.submit(this.#view) ?? null;
  }

  /** Takes back what was added since the mark. */
  rewind({ messages, parses }: Mark): void {
    this.#messages.length = messages;
    this.#parses.length = parses;
  }

  /** Has the server send the answers up to here before it goes on. */
  flush(): void {
    Reflect.apply(this.#wire.flush, this.#view, []);
  }

  /** Writes everything, and one Sync. */
  write(): void {
    Reflect.apply(this.#wire.sync, this.#view, []);
    this.#wire.stream.write(Buffer.concat(this.#messages));
  }
}
