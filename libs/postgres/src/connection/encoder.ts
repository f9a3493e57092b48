import type { QueryResultRow } from 'pg';
import { isWire, type Wire, type WireQuery } from './wire.js';

/** How much was encoded. */
interface Mark {
  readonly messages: number;
  readonly parses: number;
}

/** The messages and statements that queries write. */
interface Written {
  readonly messages: Uint8Array[];
  readonly parses: string[];
}

/** A view of a connection on which queries write into memory. */
interface View {
  readonly wire: Wire;
  /** Whatever is written goes here. */
  written: Written;
}

/** One for each connection, since every transaction needs it and an object with own methods is dear. */
const views = new WeakMap<Wire, View>();

function viewOf(wire: Wire): View {
  const known = views.get(wire);
  if (known !== undefined) return known;
  const stream = {
    writable: true,
    write: (message: Uint8Array) => view.written.messages.push(message),
    cork: () => undefined,
    uncork: () => undefined,
  };
  const parse: Wire['parse'] = (statement) => {
    view.written.parses.push(statement.name ?? '');
    Reflect.apply(wire.parse, own, [statement]);
  };
  // The values are converted first: if one cannot be, older versions of pg leave the beginning of this
  // message in front of the next one.
  const bind: Wire['bind'] = ({ values, valueMapper, ...rest }) => {
    const converted = valueMapper === undefined ? values : values?.map((one) => valueMapper(one));
    Reflect.apply(wire.bind, own, [{ ...rest, values: converted }]);
  };
  const own: unknown = Object.create(wire, {
    stream: { value: stream },
    sync: { value: () => undefined },
    parse: { value: parse },
    bind: { value: bind },
  });
  if (!isWire(own)) throw new TypeError('The connection is none of pg.');
  const view: View = { wire: own, written: { messages: [], parses: [] } };
  views.set(wire, view);
  return view;
}

/**
 * Encodes the messages of queries without writing them, so that a value which pg cannot encode is
 * noticed before the first byte is sent. The queries write to a view of the connection whose stream
 * keeps the bytes and whose Sync does nothing, because they share one.
 */
export class Encoder {
  readonly #wire: Wire;
  readonly #view: View;
  readonly #written: Written = { messages: [], parses: [] };

  constructor(wire: Wire) {
    this.#wire = wire;
    this.#view = viewOf(wire);
  }

  get mark(): Mark {
    return { messages: this.#written.messages.length, parses: this.#written.parses.length };
  }

  /** The name of each statement that is to be parsed, in their order; '' where it has none. */
  get parses(): readonly string[] {
    return this.#written.parses;
  }

  /** Adds the messages of a query. Returns an error that it was refused with before any of them. */
  add<R extends QueryResultRow>(query: WireQuery<R>): Error | null {
    return query.submit(this.#open()) ?? null;
  }

  /** Takes back what was added since the mark. */
  rewind({ messages, parses }: Mark): void {
    this.#written.messages.length = messages;
    this.#written.parses.length = parses;
  }

  /** Has the server send the answers up to here before it goes on. */
  flush(): void {
    Reflect.apply(this.#wire.flush, this.#open(), []);
  }

  /** Writes everything, and one Sync. */
  write(): void {
    Reflect.apply(this.#wire.sync, this.#open(), []);
    this.#wire.stream.write(Buffer.concat(this.#written.messages));
  }

  /** The view, which writes to this encoder until another one of the connection takes it. */
  #open(): Wire {
    this.#view.written = this.#written;
    return this.#view.wire;
  }
}
