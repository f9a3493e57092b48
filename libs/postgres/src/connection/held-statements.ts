import { asError } from '@sagaz/core';
import type { QueryResult, QueryResultRow } from 'pg';
import { fly, lastOf, type FlightPart, type Landing } from './flight.js';
import type { Statement } from './queryable.js';
import { isSubmittable, queryOf, takesFlights, type FlightClient } from './wire.js';

/** A statement of the store whose result nobody needs. */
export interface HeldStatement {
  readonly statement: Statement;
  /** How long its answer may take, in ms. */
  readonly limitMs: number;
  /** Makes the error that is thrown from an error of the statement. */
  readonly explained: (error: unknown) => unknown;
}

/** Waits for the answer to the opening of a transaction, and rejects if none comes in time. */
type AwaitBegin = (answer: Promise<void>) => Promise<void>;

/** The statements that are sent before the next one. */
interface Before {
  /** The opening of the transaction; null: it is open. */
  readonly opening: { readonly text: string; readonly awaitBegin: AwaitBegin } | null;
  readonly held: readonly HeldStatement[];
}

const START = 'START TRANSACTION';
const LEVEL = 'SET TRANSACTION ISOLATION LEVEL ';
const COMMIT = 'COMMIT';
const ROLLS_BACK = /^\s*(rollback|abort)\b(?!(\s+(work|transaction))?\s+to\b)/i;
/**
 * Statements without values that are sent as they are, since the extended protocol takes one statement at
 * a time, and waits for more if it is to copy from a client that sends nothing.
 */
const SIMPLE_ONLY = /;\s*\S|\bcopy\b/i;
const NOTHING: Before = { opening: null, held: [] };

const clients = new WeakMap<object, HeldStatements | null>();

/**
 * Holds statements back on a client of the application and sends them together with the next one: the
 * opening of a transaction with the first statement in it, and the last statements of the store with
 * COMMIT. So they cost no round trip. It replaces the `query` of that one client, because whatever
 * anybody sends on it next has to follow what was held back.
 */
export class HeldStatements {
  readonly #client: FlightClient;
  readonly #send: (...given: readonly unknown[]) => unknown;
  #awaitBegin: AwaitBegin | null = null;
  #before = NOTHING;
  #failure: { readonly error: unknown } | null = null;

  private constructor(client: FlightClient) {
    this.#client = client;
    this.#send = client.query.bind(client);
    replace(client, 'query', this.#query);
    const status: unknown = Reflect.get(client, 'getTransactionStatus');
    if (typeof status === 'function') {
      replace(client, 'getTransactionStatus', () => {
        const told: unknown = Reflect.apply(status, client, []);
        return this.#before.opening === null ? told : 'T';
      });
    }
  }

  /** Null where statements cannot be sent together, or somebody else has replaced `query` before. */
  static of(client: unknown): HeldStatements | null {
    if (typeof client !== 'object' || client === null) return null;
    let known = clients.get(client);
    if (known === undefined) {
      const suitable =
        takesFlights(client) &&
        !Object.hasOwn(client, 'query') &&
        // The results of plain statements would have another form.
        Reflect.get(client, 'binary') !== true;
      known = suitable ? new HeldStatements(client) : null;
      clients.set(client, known);
    }
    return known;
  }

  /** How long the answers to the statements that are held back may take, in ms. */
  get limitMs(): number {
    return this.#before.held.reduce((sum, { limitMs }) => sum + limitMs, 0);
  }

  /**
   * Runs `send`, and holds a START TRANSACTION back that it sends.
   *
   * @param awaitBegin is given the answer to START TRANSACTION when that is sent
   */
  async opening<T>(send: () => Promise<T>, awaitBegin: AwaitBegin): Promise<T> {
    this.#awaitBegin = awaitBegin;
    try {
      return await send();
    } finally {
      this.#awaitBegin = null;
    }
  }

  /** Sends the opening of the transaction, if it was held back, with the statements that wait for COMMIT. */
  async open(): Promise<void> {
    const before = this.#before;
    if (before.opening === null) return;
    // Held statements go with it. The client sends the flight by the replaced `query`, which would send them
    // before the opening otherwise, outside of the transaction.
    this.#before = NOTHING;
    const landing = await this.#fly(before, []);
    if (landing.kind === 'failed') {
      throw heldOf(before, landing.part)?.explained(landing.error) ?? landing.error;
    }
  }

  hold(held: HeldStatement): void {
    this.#before = { ...this.#before, held: [...this.#before.held, held] };
  }

  /**
   * Returns the error of a statement that was sent with the last COMMIT and failed, so that nothing was
   * committed; null: there is none. Returns it once.
   */
  takeFailure(): { readonly error: unknown } | null {
    const failure = this.#failure;
    this.#failure = null;
    return failure;
  }

  readonly #query = (...given: readonly unknown[]): unknown => {
    const text = textOf(given);
    if (text === START && this.#awaitBegin !== null && this.#before === NOTHING) {
      this.#before = { opening: { text, awaitBegin: this.#awaitBegin }, held: [] };
      return Promise.resolve(answerTo('START'));
    }
    if (this.#before === NOTHING) return this.#send(...given);
    const { opening, held } = this.#before;
    if (opening?.text === START && held.length === 0 && text?.startsWith(LEVEL) === true) {
      const level = `${START} ISOLATION LEVEL ${text.slice(LEVEL.length)}`;
      this.#before = { opening: { ...opening, text: level }, held };
      return Promise.resolve(answerTo('SET'));
    }
    this.#before = NOTHING;
    // Held statements that are rolled back need not be sent. The opening is sent, because the end of the
    // transaction is counted by the server's answers.
    const before =
      text !== null && ROLLS_BACK.test(text) ? { opening, held: [] } : { opening, held };
    if (before.opening === null && before.held.length === 0) return this.#send(...given);
    const config = extendable(given);
    return config === null ? this.#sendAfter(before, given) : this.#sendWith(before, config);
  };

  /** Sends a statement together with those that were held back. */
  async #sendWith(before: Before, config: object): Promise<QueryResult> {
    const landing = await this.#fly(before, [{ config }]);
    if (landing.kind === 'landed') return lastOf(landing.results);
    const failed = heldOf(before, landing.part);
    if (failed === undefined) throw landing.error;
    const error = failed.explained(landing.error);
    if (landing.skipped && Reflect.get(config, 'text') === COMMIT) this.#failure = { error };
    throw error;
  }

  /**
   * Sends those that were held back, and then the statement by itself, unless one of them has failed.
   * The client has it in its queue at once, before any other.
   */
  #sendAfter(before: Before, given: readonly unknown[]): unknown {
    let failure: Error | null = null;
    const refused = (error: unknown): void => {
      failure ??= asError(error);
    };
    this.#fly(before, [], (landing) => {
      if (landing.kind === 'landed') return;
      refused(heldOf(before, landing.part)?.explained(landing.error) ?? landing.error);
    }).catch(refused);
    const [first, values, callback] = given;
    const query = isSubmittable(first) ? first : queryOf(this.#client, configOf(first, values));
    const submit = query.submit.bind(query);
    query.submit = (wire) => failure ?? submit(wire);
    if (query === first) return this.#send(...given);
    const candidates: readonly unknown[] = [values, callback, Reflect.get(query, 'callback')];
    const then = candidates.find(isFunction);
    if (then !== undefined) {
      this.#send(query, then);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.#send(query, (error: unknown, result: unknown) => {
        if (result === undefined) reject(asError(error));
        else resolve(result);
      });
    });
  }

  async #fly(
    { opening, held }: Before,
    rest: readonly FlightPart[],
    landed: (landing: Landing<QueryResultRow>) => void = () => undefined,
  ): Promise<Landing<QueryResultRow>> {
    const parts: FlightPart[] = [...held.map(({ statement }) => ({ config: statement })), ...rest];
    let awaited: Promise<void> | undefined;
    if (opening !== null) {
      const answered = new Promise<void>((settled) => {
        parts.unshift({ config: { text: opening.text }, settled });
      });
      awaited = opening.awaitBegin(answered);
    }
    const landing = new Promise<Landing<QueryResultRow>>((resolve) => {
      fly<QueryResultRow>(this.#client, parts, (it) => {
        landed(it);
        resolve(it);
      });
    });
    await awaited;
    return landing;
  }
}

function heldOf({ opening, held }: Before, part: number): HeldStatement | undefined {
  return held[opening === null ? part : part - 1];
}

/** The text of a statement that has neither values nor a callback. */
function textOf([first, values, callback]: readonly unknown[]): string | null {
  return typeof first === 'string' && values === undefined && callback === undefined ? first : null;
}

function configOf(first: unknown, values: unknown): object {
  const config: object = typeof first === 'object' ? { ...first } : { text: first };
  return Array.isArray(values) ? { ...config, values } : config;
}

/** The statement if it can be sent with the extended protocol and answered by a promise. */
function extendable([first, values, callback]: readonly unknown[]): object | null {
  if (isSubmittable(first) || callback !== undefined || typeof values === 'function') return null;
  const config = configOf(first, values);
  const part = (name: string): unknown => Reflect.get(config, name);
  const text = part('text');
  if (typeof text !== 'string' || text === '') return null;
  if (['rows', 'callback', 'query_timeout'].some((name) => part(name) !== undefined)) return null;
  const given = part('values');
  const plain = part('name') === undefined && !(Array.isArray(given) && given.length > 0);
  return plain && SIMPLE_ONLY.test(text) ? null : config;
}

/** The result that pg gives for a command without rows. */
function answerTo(command: string): QueryResult {
  return { command, rowCount: null, oid: 0, rows: [], fields: [] };
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}

function replace(client: object, name: string, value: unknown): void {
  Object.defineProperty(client, name, { configurable: true, writable: true, value });
}
